// Requests to the server, one at a time. Of those that arrive meanwhile, the latest is sent next.

import { clearAnswer, fadeAnswer, showAnswer } from "./answer.js";
import { cardVersion, inputSize, loadCard } from "./card.js";
import { plural } from "./numbers.js";
import { STOPPED, showProblem } from "./problem.js";

const INTERVAL = 100; // ms from one request to the next
const PATIENCE = 30000; // ms for an answer
const INVITATION = "Draw something, or choose an image.";

let next = null;
let isBusy = false;
let round = 0; // answers to a request of an earlier round are not shown

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// request: {bytes, name, notes}. `bytes` provides the image when it is sent; `name` is that of a file, if any; `notes`
// are shown beside the answer.
export async function classify(request) {
  next = request;
  if (isBusy) return;
  isBusy = true;
  while (next) {
    const [current, begun, start] = [next, round, performance.now()];
    next = null;
    const retry = () => {
      showProblem("");
      classify(current);
    };
    const outcome = await send(current).catch(() => ({ problem: STOPPED, retry }));
    if (begun === round) {
      await present(outcome, current);
      await pause(outcome.wait ? 1000 * outcome.wait : start + INTERVAL - performance.now());
    }
  }
  isBusy = false;
}

// Drop the request that waits, and clear the answer.
export function reset() {
  next = null;
  round += 1;
  showProblem("");
  clearAnswer(INVITATION, inputSize());
}

async function present(outcome, request) {
  showProblem(outcome.problem ?? "", outcome.retry);
  if (outcome.wait) {
    next ??= request;
    fadeAnswer();
  } else if (outcome.problem) clearAnswer("No answer to this image.", inputSize());
  else {
    const image = await createImageBitmap(outcome.body).catch(() => null);
    if (outcome.version !== cardVersion()) await loadCard(); // another network has taken over
    const notes = [...request.notes, ...outcome.notes];
    showAnswer({ ...outcome, image, notes }, inputSize(), next === null);
  }
}

async function send({ bytes, name }) {
  const body = await bytes();
  const start = performance.now();
  performance.clearResourceTimings();
  const response = await fetch("classify", { method: "POST", body, signal: AbortSignal.timeout(PATIENCE) });
  const reply = await response.json().catch(() => ({}));
  if (response.ok)
    return { ...reply.answers[0], body, version: reply.model.version, seconds: split(reply, response, start) };
  if (response.status === 503) {
    const wait = Math.min(30, Math.max(1, Number(response.headers.get("Retry-After"))));
    return { wait, problem: `The server is busy. Asking again in ${plural(wait, "second")}.` };
  }
  const problem = reply.detail?.replace(/^the image\b/, name ?? "The image");
  return { problem: problem ?? `The server could not answer: status ${response.status}.` };
}

// Split the time of an answer into its parts. The browser's own record is preferred, since a busy page may see an
// answer late.
function split({ seconds: { decoding, inference } }, { url }, start) {
  const { requestStart = start, responseEnd = performance.now() } = performance.getEntriesByName(url)[0] ?? {};
  const whole = (responseEnd - requestStart) / 1000;
  return { network: Math.max(0, whole - decoding - inference), decoding, inference };
}
