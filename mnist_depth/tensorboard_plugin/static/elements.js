// Elements of the page. Text is only ever set as textContent, so that a name is never markup.

export const HERE = new URL('.', import.meta.url);

export function addStyle() {
  const link = make('link', {rel: 'stylesheet', href: new URL('style.css', HERE).href});
  document.head.append(link);
}

export function addScript(name) {
  return new Promise((resolve, reject) => {
    const script = make('script', {src: new URL(name, HERE).href});
    script.onload = resolve;
    script.onerror = () => reject(new Error(name));
    document.head.append(script);
  });
}

export function make(tag, attributes = {}, text = '') {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text) element.textContent = text;
  return element;
}

export function label(text, control) {
  const element = make('label', {for: control.id}, text);
  element.append(control);
  return element;
}

export function fill(select, choices, chosen) {
  select.replaceChildren(
    ...choices.map(([value, text]) => {
      const option = make('option', {value}, text);
      option.selected = value === chosen;
      return option;
    }),
  );
  select.disabled = choices.length === 0;
}

export function later(action, milliseconds) {
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(action, milliseconds);
  };
}
