// Keys pressed in a widget are the widget's own: the notebook would take a slider's arrow keys to move to another cell.

// JupyterLab listens outside of the widget; Notebook 7 listens before it, unless the focused element itself has
// data-lm-suppress-shortcuts.
export function keepKeys(root) {
  root.addEventListener("keydown", event => event.stopPropagation());
  root.addEventListener("focusin", event => {
    event.target.dataset.lmSuppressShortcuts = "true";
  });
}
