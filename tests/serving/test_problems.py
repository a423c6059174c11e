"""Error responses: problem details (RFC 9457), with the sentence also where the protocol's clients look for it."""

from __future__ import annotations

import json

import jsonschema

from workbench.serving.problems import SCHEMA, Problem, busy


def test_a_response_is_as_its_schema_says() -> None:
    response = Problem(404, "Nothing is here.", {"X-Reason": "why"}).response()
    assert (response.status_code, response.headers["x-reason"]) == (404, "why")
    assert response.headers["content-type"] == "application/problem+json"
    problem = json.loads(response.body)
    jsonschema.validate(problem, SCHEMA)
    assert (problem["title"], problem["status"]) == ("Not Found", 404)
    assert problem["detail"] == problem["error"] == "Nothing is here."


def test_busy_says_when_to_come_back() -> None:
    problem = busy("Too many connections are open.")
    assert (problem.status, problem.headers) == (503, {"Retry-After": "1"})
    assert problem.detail == "Too many connections are open. Ask again in a second."
