"""The Open Inference Protocol, used by Triton's own client and by hand.

Covers: tensors, app, descriptions, docs.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from serving.application import Application, application, client
from tritonclient.utils import InferenceServerException

from workbench.bundle.manifest import read_bundle
from workbench.data.datasets import load_dataset
from workbench.folders import REFERENCE
from workbench.inference.predictor import Predictor

BUNDLE = read_bundle(REFERENCE)
IMAGES = BUNDLE.self_test_images
INFER = "/v2/models/convnet/infer"


@pytest.fixture(scope="module")
def served() -> Iterator[Application]:
    with application(REFERENCE, "--workers", "2") as running:
        yield running


@pytest.fixture(scope="module")
def asking(served: Application) -> Iterator[httpx.Client]:
    with client(served) as made:
        yield made


@pytest.fixture(scope="module")
def tritons(served: Application) -> Iterator[triton.InferenceServerClient]:
    made = triton.InferenceServerClient(served.address.removeprefix("http://"))
    yield made
    made.close()


def tensor(images: np.ndarray, *, binary: bool) -> triton.InferInput:
    made = triton.InferInput("images", images.shape, "UINT8")
    made.set_data_from_numpy(images, binary_data=binary)
    return made


def test_tritons_client_reads_the_metadata(tritons: triton.InferenceServerClient) -> None:
    assert tritons.is_server_live()
    assert tritons.is_server_ready()
    assert tritons.is_model_ready("convnet")
    assert tritons.is_model_ready("convnet", BUNDLE.version)
    assert not tritons.is_model_ready("resnet")
    assert tritons.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    text = tritons.get_model_metadata("convnet")
    assert text == tritons.get_model_metadata("convnet", BUNDLE.version)
    assert text["versions"] == [BUNDLE.version]
    assert text["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}]
    assert text["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]
    with pytest.raises(InferenceServerException, match="No model of this name"):
        tritons.get_model_metadata("resnet")
    with pytest.raises(InferenceServerException, match=r"in version .* only"):
        tritons.get_model_metadata("convnet", "000000000000")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_tritons_client_infers(
    tritons: triton.InferenceServerClient, binary_in: bool, binary_out: bool | None, packed: str | None
) -> None:
    outputs = None if binary_out is None else [triton.InferRequestedOutput("probabilities", binary_data=binary_out)]
    answer = tritons.infer(
        "convnet",
        [tensor(IMAGES, binary=binary_in)],
        outputs=outputs,
        request_id="seven",
        request_compression_algorithm=packed,
    )
    found = answer.as_numpy("probabilities")
    assert found.dtype == np.float32
    assert np.abs(found - BUNDLE.self_test_expected).max() < 1e-4
    text = answer.get_response()
    assert (text["model_name"], text["model_version"], text["id"]) == ("convnet", BUNDLE.version, "seven")


def test_answers_are_those_of_eager_pytorch(tritons: triton.InferenceServerClient) -> None:
    """On the 100 new images and the test set: the same labels, probabilities within 1e-4."""
    data = load_dataset("animals")
    eager = Predictor.from_bundle(BUNDLE, "eager", threads=1)
    for split in (data.new, data.test):
        images, found = split.images.numpy(), []
        for start in range(0, len(images), 64):
            answer = tritons.infer("convnet", [tensor(images[start : start + 64], binary=True)])
            found.append(answer.as_numpy("probabilities"))
        answers, expected = np.concatenate(found), eager(images)
        assert np.abs(answers - expected).max() < 1e-4
        assert (answers.argmax(1) == expected.argmax(1)).all()


def request(**changes: object) -> dict[str, object]:
    made = {"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": IMAGES[0].ravel().tolist()}
    return {"inputs": [made | changes]}


def test_numbers_may_be_nested(asking: httpx.Client) -> None:
    flat, nested = request(), request(data=IMAGES[:1].tolist())
    assert asking.post(INFER, json=flat).json() == asking.post(INFER, json=nested).json()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "the request: must be a JSON object"),
        ({}, "inputs: give a list of one tensor"),
        ({"inputs": [1]}, r"inputs\[0\]: must be a JSON object"),
        (request(name="pixels"), "inputs.0..name = 'pixels': this network takes 'images'"),
        (request(datatype="FP32"), "inputs.0..datatype = 'FP32': this network takes UINT8"),
        (request(shape=[1, 3, 32, 32]), r"takes \[N, 32, 32, 3\]"),
        (request(shape=[True, 32, 32, 3]), r"takes \[N, 32, 32, 3\]"),
        (request(shape=[0, 32, 32, 3]), "N must be from 1 to 64"),
        (request(shape=[65, 32, 32, 3]), "N must be from 1 to 64"),
        (request(data=[1, 2, 3]), "has 3 numbers, and a tensor of this shape has 3,072"),
        (request(data=[[1, 2], [3]]), "the nested lists have different lengths"),
        (request(data=[256] * 3072), "whole numbers from 0 to 255"),
        (request(data=[-1] * 3072), "whole numbers from 0 to 255"),
        (request(data=[0.5] * 3072), "whole numbers from 0 to 255"),
        (request(data=["1"] * 3072), "whole numbers from 0 to 255"),
        (request(data=[True] * 3072), "whole numbers from 0 to 255"),
        (request(data=[10**30] * 3072), "whole numbers from 0 to 255"),
        (request(data="AAAA"), "give the numbers as a list"),
        (request(parameters=[]), r"inputs.0..parameters: must be a JSON object"),
        (request(parameters={"binary_data_size": 3072}), "has both data and a binary_data_size"),
        (request(parameters={"shared_memory_region": "a"}), "shared_memory_region: not supported"),
        (request() | {"outputs": [{"name": "logits"}]}, "this network gives 'probabilities'"),
        (
            request() | {"outputs": [{"name": "probabilities", "parameters": {"classification": 3}}]},
            "classification: not supported",
        ),
        (request() | {"parameters": {"binary_data_output": 1}}, "binary_data_output = 1: must be true or false"),
        (request() | {"id": 7}, "id: must be a text"),
    ],
)
def test_malformed_requests_are_refused_with_the_reason(asking: httpx.Client, body: object, said: str) -> None:
    answer = asking.post(INFER, json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert httpx.codes(problem["status"]) == answer.status_code
    assert problem["error"] == problem["detail"]
    assert re.search(said, problem["detail"]), problem["detail"]


@pytest.mark.parametrize(
    ("stated", "behind", "said"),
    [
        ("0", b"", "must be from 1 to"),
        ("9" * 30, b"", "must be from 1 to"),
        ("many", b"", "must be from 1 to"),
        (None, b"abc", "not valid JSON"),
        ("", b"abc", "must be from 1 to"),
        ("right", b"abc", "3 bytes follow the JSON, and no input has a binary_data_size"),
    ],
)
def test_a_wrong_json_length(asking: httpx.Client, stated: str | None, behind: bytes, said: str) -> None:
    head = json.dumps(request()).encode()
    headers = (
        {} if stated is None else {"Inference-Header-Content-Length": str(len(head)) if stated == "right" else stated}
    )
    answer = asking.post(INFER, content=head + behind, headers=headers)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("count", [0, 3071, 3073])
def test_binary_tensors_of_another_size(asking: httpx.Client, count: int) -> None:
    asked = request(parameters={"binary_data_size": 3072})
    del asked["inputs"][0]["data"]  # type: ignore[index]
    head = json.dumps(asked).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = asking.post(INFER, content=head + bytes(count), headers=headers)
    assert answer.status_code == 400
    assert f"{count:,} bytes follow the JSON: a tensor of this shape has 3,072" in answer.json()["detail"]


def test_compressed_bodies(asking: httpx.Client) -> None:
    body = json.dumps(request()).encode()

    def ask(content: bytes, encoding: str) -> httpx.Response:
        return asking.post(INFER, content=content, headers={"Content-Encoding": encoding})

    assert ask(gzip.compress(body), "gzip").status_code == 200
    assert "it ends too early" in ask(gzip.compress(body)[:-9], "gzip").json()["detail"]
    assert "is not valid deflate" in ask(b"no", "deflate").json()["detail"]
    assert ask(body, "br").status_code == 415
    bomb = ask(zlib.compress(bytes(2**28)), "deflate")
    assert (bomb.status_code, "larger than the limit" in bomb.json()["detail"]) == (413, True)


def test_other_addresses_and_methods(asking: httpx.Client) -> None:
    for path, status in (("/v3", 404), ("/v2/models/resnet", 404), ("/v2/models/convnet/versions/1/ready", 404)):
        answer = asking.get(path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
    answer = asking.delete("/classify")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_description_and_its_page_list_every_route(asking: httpx.Client) -> None:
    text = asking.get("/openapi.json").json()
    assert {"/classify", "/metrics", INFER.replace("convnet", "{name}"), "/v2/health/ready"} <= text["paths"].keys()
    page = asking.get("/docs").text
    for path in text["paths"]:
        assert path in page
    assert "http://" not in page.replace("http://127.0.0.1:8000", "")
    assert "https://" not in page
