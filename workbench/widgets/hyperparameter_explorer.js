// Hyper-parameters with their cost, short runs and a search. All sentences about results come from Python.

import { note } from "./controls.js";
import { createControls } from "./explorer_controls.js";
import { createCosts } from "./explorer_cost.js";
import { createRuns } from "./explorer_runs.js";
import { createSearch } from "./explorer_search.js";
import { createRoot, isLive } from "./frame.js";

const NO_KERNEL = "This page has no kernel: the controls and runs rest. What was chosen, run and searched stays.";

function render({ model, el }) {
  const root = createRoot(model, el, "Hyper-parameter explorer");
  if (!isLive(model)) root.append(note(NO_KERNEL));
  const counting = note("", { role: "status" });
  root.append(createControls(model, counting), createCosts(model, counting), createRuns(model), createSearch(model));
}

export default { render };
