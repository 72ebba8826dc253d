// A card per configuration: its verdict, its entry of the legend, and the ways to TensorBoard's own tabs.

import {make} from './elements.js';

const MAX_FULL_CARDS = 4;
const GLYPHS = {
  circle: '\u25cf', square: '\u25a0', diamond: '\u25c6', 'triangle-up': '\u25b2', x: '\u2716', cross: '\u271a',
  star: '\u2605', 'triangle-down': '\u25bc', pentagon: '\u2b1f', hexagon: '\u2b22',
};
const MILLISECONDS_BETWEEN_TRIES = 100;
const MAX_TRIES = 100;

// The cards are also the legend: a click hides or shows the lines of a configuration.
// `actions` are isHidden(key), toggle(key) and showOnly(key).
export function fillCards(place, cards, texts, actions) {
  const areMany = cards.length > MAX_FULL_CARDS;
  place.classList.toggle('many', areMany);
  place.replaceChildren(...cards.map((card) => makeCard(card, texts, actions, areMany)));
}

// Mark the cards whose lines are hidden.
export function markCards(place) {
  for (const card of place.children) card.dispatchEvent(new Event('marked'));
}

function makeCard(card, texts, actions, isSmall) {
  const element = make('section', {class: 'card'});
  element.style.borderLeftColor = card.color;
  const head = make('h2');
  const toggle = make('button', {class: 'toggle', title: texts.toggle});
  const glyph = make('span', {class: 'glyph', 'aria-hidden': 'true'}, GLYPHS[card.marker] || GLYPHS.circle);
  glyph.style.color = card.color;
  toggle.append(glyph, make('span', {class: 'name'}, card.label));
  toggle.addEventListener('click', () => actions.toggle(card.key));
  toggle.addEventListener('dblclick', () => actions.showOnly(card.key));
  head.append(toggle);
  if (card.seeds > 1) head.append(make('small', {}, texts.seeds.replace('{count}', card.seeds)));
  const links = make('nav');
  for (const [plugin, text] of [['graphs', 'graph'], ['hparams', 'hparams']]) {
    const link = make('a', {href: '#'}, texts[text]);
    link.addEventListener('click', (event) => {
      event.preventDefault();
      window.parent.location.hash = plugin;
      if (plugin === 'graphs') chooseGraph(card.run);
    });
    links.append(link);
  }
  head.append(links);
  element.append(head);
  // The slider moves the figures, not the verdict.
  const verdict = card.verdict ? `${texts.at_end}: ${card.verdict}` : texts.no_verdict;
  const lines = verdict.split('\n').map(plain).filter(Boolean);
  lines.forEach((line, place) => element.append(make('p', place === 0 ? {class: 'verdict'} : {}, line)));
  if (isSmall) element.title = [card.label, ...lines].join('\n');
  const set = () => {
    const isHidden = actions.isHidden(card.key);
    element.classList.toggle('off', isHidden);
    toggle.setAttribute('aria-pressed', String(!isHidden));
  };
  element.addEventListener('marked', set);
  set();
  return element;
}

function plain(markdown) {
  return markdown.replace(/\*\*/g, '').replace(/\\(.)/g, '$1').trim();
}

// TensorBoard 2.21 chooses no run by the address of its graphs, so its list is used as a person would.
function chooseGraph(run) {
  let tries = 0;
  const timer = setInterval(() => {
    const controls = findInside(window.parent.document, 'tf-graph-controls');
    const items = controls ? [...controls.shadowRoot.querySelectorAll('paper-item')] : [];
    const item = items.find((one) => one.textContent.trim() === run);
    if (item) item.click();
    if (item || ++tries === MAX_TRIES) clearInterval(timer);
  }, MILLISECONDS_BETWEEN_TRIES);
}

// The first element of a kind, in whatever shadow tree it is.
function findInside(root, kind) {
  for (const element of root.querySelectorAll('*')) {
    if (element.localName === kind) return element;
    const found = element.shadowRoot && findInside(element.shadowRoot, kind);
    if (found) return found;
  }
  return null;
}
