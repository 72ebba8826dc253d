// The keys of the tab: how they reach its frame, and which of them a control in it uses itself.

// Keys reach a frame only once it has the focus: it takes it when the tab is opened, but not from a field of
// TensorBoard's that somebody types in.
export function takeFocus() {
  let focused = window.parent.document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  if (!focused?.matches('input, textarea, select, [contenteditable]')) window.focus();
}

// Whether the control in focus does something of its own with this key.
export function isTaken(event) {
  const control = event.target.closest?.('input, select, button, a');
  if (!control) return false;
  if (control.type === 'range') return /^(Arrow|Home|End|Page)/.test(event.key);
  return !control.matches('button, a') || [' ', 'Enter'].includes(event.key);
}
