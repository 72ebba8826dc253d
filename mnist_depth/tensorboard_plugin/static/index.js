// The Depth tab. Figures come ready from Python (mnist_depth/figures); this module shows them and moves the slider.

import {fillCards, markCards} from './cards.js';
import {addScript, addStyle, fill, HERE, label, later, make} from './elements.js';
import {isTaken, takeFocus} from './keys.js';
import {isDark, themed} from './theme.js';

const VIEWS = ['profile', 'map', 'distributions'];
const DEFAULTS = {view: 'profile', quantity: '', subject: '', color: 'activation', filter: '', hidden: '', step: ''};
const SECONDS_BETWEEN_LOOKS = 5;
const MILLISECONDS_PER_MOMENT = 200;
const MILLISECONDS_OF_TYPING = 300;

let state = {...DEFAULTS};
let offered = null; // what the server offers: texts, fields, quantities, cards
let figure = null; // the figure on show
let curves = null; // loss and accuracy beside it
let moment = 0; // place of the slider in figure.moments
let playing = null;
let drawing = null; // resolved once plotly is there
let wanted = 0; // number of the newest request; answers to older ones are dropped
const part = {}; // elements by name
const actions = {isHidden: (key) => hiddenKeys().has(key), toggle: toggleLine, showOnly};

export async function render() {
  state = {...DEFAULTS, ...readAddress()};
  addStyle();
  drawing = addScript('plotly.min.js'); // its megabytes are read while the first figure is asked for
  build();
  followTheme();
  await refresh();
  setInterval(lookForNews, SECONDS_BETWEEN_LOOKS * 1000);
  window.parent.addEventListener('hashchange', () => {
    const read = {...DEFAULTS, ...readAddress()};
    if (isOurs() && JSON.stringify(read) !== JSON.stringify(state)) {
      state = read;
      refresh();
    }
  });
}

// The address: #depth&filter=study%3Ddepth9&view=map. The tab is a frame, the address is that of its parent.

function isOurs() {
  return window.parent.location.hash.slice(1).split('&')[0] === 'depth';
}

function readAddress() {
  const found = {};
  for (const word of window.parent.location.hash.slice(1).split('&').slice(1)) {
    const [name, ...rest] = word.split('=');
    if (name in DEFAULTS) found[name] = decodeURIComponent(rest.join('='));
  }
  return found;
}

function writeAddress() {
  if (!isOurs()) return;
  const usual = {...DEFAULTS, quantity: first(offered?.quantities), subject: first(offered?.subjects)};
  const words = Object.keys(DEFAULTS)
    .filter((name) => state[name] !== usual[name])
    .map((name) => `${name}=${encodeURIComponent(state[name])}`);
  const address = new URL(window.parent.location.href);
  address.hash = ['depth', ...words].join('&');
  window.parent.history.replaceState(window.parent.history.state, '', address);
}

function first(choices) {
  return choices && choices.length ? choices[0][0] : '';
}

// Building the page

function build() {
  part.bar = make('div', {class: 'bar', role: 'toolbar'});
  part.views = make('div', {class: 'views', role: 'tablist'});
  part.filter = make('input', {type: 'search', id: 'filter'});
  part.quantity = make('select', {id: 'quantity'});
  part.color = make('select', {id: 'color'});
  part.count = make('span', {class: 'count', 'aria-live': 'polite'});
  part.saves = make('div', {class: 'saves'});
  part.cards = make('div', {class: 'cards'});
  part.message = make('p', {class: 'message busy', role: 'status'});
  part.figures = make('div', {class: 'figures'});
  part.main = make('div', {class: 'main', id: 'main', role: 'img'});
  part.curves = make('div', {class: 'curves', id: 'curves', role: 'img'});
  part.slider = make('div', {class: 'slider'});
  part.play = make('button', {id: 'play'});
  part.step = make('input', {type: 'range', id: 'step', min: '0', value: '0'});
  part.moment = make('output', {id: 'moment', for: 'step'});
  part.slider.append(part.play, part.step, part.moment);
  part.key = make('p', {class: 'key'});
  part.figures.append(part.main, part.curves);
  part.figures.hidden = part.slider.hidden = true;
  document.body.append(part.bar, part.cards, part.message, part.figures, part.key, part.slider);
  part.filter.addEventListener('input', later(() => choose({filter: part.filter.value}), MILLISECONDS_OF_TYPING));
  part.quantity.addEventListener('change', () =>
    choose(state.view === 'distributions' ? {subject: part.quantity.value} : {quantity: part.quantity.value}),
  );
  part.color.addEventListener('change', () => choose({color: part.color.value}));
  part.step.addEventListener('input', () => show(Number(part.step.value)));
  part.play.addEventListener('click', togglePlay);
  document.addEventListener('keydown', onKey);
  document.addEventListener('pointerdown', () => window.focus()); // plotly keeps a click from doing so
  // TensorBoard hides the frame behind another tab, so it comes into sight whenever its tab is opened.
  new IntersectionObserver((seen) => seen.at(-1).isIntersecting && takeFocus()).observe(part.bar);
  new ResizeObserver(later(resize, 100)).observe(part.figures);
}

function fillBar() {
  const texts = offered.texts;
  document.documentElement.lang = offered.language;
  part.views.replaceChildren(
    ...VIEWS.map((view) => {
      const chosen = view === state.view;
      const button = make('button', {role: 'tab', id: view, 'aria-selected': String(chosen)}, texts[view]);
      button.addEventListener('click', () => choose({view, step: ''}));
      return button;
    }),
  );
  part.filter.placeholder = texts.filter_help;
  part.filter.title = texts.filter_help;
  if (part.bar.childElementCount === 0) {
    part.bar.append(part.views, label(texts.quantity, part.quantity), label(texts.color, part.color));
    part.bar.append(label(texts.filter, part.filter), part.count, part.saves);
    for (const format of ['png', 'svg']) {
      const button = make('button', {id: format}, texts[format]);
      button.addEventListener('click', () => save(format));
      part.saves.append(button);
    }
    part.csv = make('a', {id: 'csv', download: 'depth.csv'}, texts.csv);
    part.saves.append(part.csv);
    part.play.textContent = texts.play;
    part.step.setAttribute('aria-label', texts.moment);
    part.curves.setAttribute('aria-label', texts.curves);
  }
  if (document.activeElement !== part.filter) part.filter.value = state.filter;
  const choices = state.view === 'distributions' ? offered.subjects : offered.quantities;
  fill(part.quantity, choices, state.view === 'distributions' ? state.subject : state.quantity);
  fill(part.color, offered.fields.map((name) => [name, name.replaceAll('_', ' ')]), state.color);
  const drawn = drawnCards().reduce((sum, card) => sum + card.seeds, 0);
  const words = [texts.count.replace('{shown}', offered.shown).replace('{all}', offered.all)];
  if (drawn < offered.shown) words.push(texts.drawn.replace('{drawn}', drawn));
  part.count.textContent = words.join(', ');
}

// Names of hidden configurations, one a line in the state; where it has none, those that the server hides at first.
function hiddenKeys() {
  return new Set(state.hidden ? state.hidden.split('\n').filter(Boolean) : offered.hidden);
}

function drawnCards() {
  const keys = hiddenKeys();
  return offered.cards.filter((card) => !keys.has(card.key));
}

function toggleLine(key) {
  const keys = hiddenKeys();
  if (!keys.delete(key)) keys.add(key);
  hide(keys);
}

function showOnly(key) {
  const others = offered.cards.map((card) => card.key).filter((one) => one !== key);
  const keys = hiddenKeys();
  const isAlone = others.length > 0 && !keys.has(key) && others.every((one) => keys.has(one));
  hide(isAlone ? [] : others);
}

// The lines change at once; axes and the choice of quantities follow with the server's answer.
function hide(keys) {
  const none = offered.hidden.length ? '\n' : '';
  state.hidden = [...keys].join('\n') || none;
  writeAddress();
  markCards(part.cards);
  if (figure) Plotly.react(part.main, visible(figure.data), part.main.layout);
  if (figure && curves) Plotly.react(part.curves, visible(curves.data), part.curves.layout);
  return refresh();
}

function visible(traces) {
  const keys = hiddenKeys();
  return keys.size === 0 ? traces : traces.filter((trace) => !keys.has(trace.meta));
}

// Showing

function choose(changes) {
  state = {...state, ...changes};
  writeAddress();
  return refresh();
}

async function ask(path, parameters) {
  const address = new URL(path, HERE);
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

async function refresh() {
  const request = ++wanted;
  stop();
  try {
    const common = {filter: state.filter, color: state.color};
    const found = await ask('state', {...common, hidden: state.hidden});
    if (request !== wanted) return;
    const isNew = JSON.stringify(found.cards) !== JSON.stringify(offered?.cards);
    offered = found;
    settle();
    fillBar();
    // A double click needs the card of its first click, so the cards are made anew only where they differ.
    if (isNew) fillCards(part.cards, offered.cards, offered.texts, actions);
    else markCards(part.cards);
    const name = state.view === 'distributions' ? state.subject : state.quantity;
    part.csv.href = link('table.csv', {...common, quantity: state.quantity});
    if (!offered.shown || !name) return showNothing();
    const lines = {...common, hidden: [...hiddenKeys()].join('\n')};
    const answers = [
      ask('figure', {...lines, view: state.view, quantity: name}),
      ask('figure', {...lines, view: 'curves'}),
    ];
    answers[1].catch(() => {}); // it is awaited only once the main figure is drawn
    const main = await answers[0];
    if (request === wanted) await draw(main, answers[1], request);
  } catch (error) {
    if (request === wanted) say((offered ? offered.texts.failed : '{reason}').replace('{reason}', error.message));
  }
}

// What the address does not say, or what is not offered here, becomes the first of what is.
function settle() {
  const names = (choices) => choices.map(([name]) => name);
  if (!VIEWS.includes(state.view)) state.view = VIEWS[0];
  if (!names(offered.quantities).includes(state.quantity)) state.quantity = first(offered.quantities);
  if (!names(offered.subjects).includes(state.subject)) state.subject = first(offered.subjects);
}

function link(path, parameters) {
  const address = new URL(path, HERE);
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  return address.href;
}

function showNothing() {
  const texts = offered.texts;
  say(offered.all === 0 ? texts.nothing : !offered.shown ? texts.no_match : texts.nothing);
}

function say(message) {
  figure = null;
  part.message.classList.remove('busy');
  part.message.textContent = message;
  part.message.hidden = !message;
  part.figures.hidden = part.slider.hidden = part.key.hidden = Boolean(message);
}

async function draw(main, besides, request) {
  if (!main.data || !main.data.length) return say(drawnCards().length ? offered.texts.no_figure : offered.texts.all_hidden);
  await drawing;
  if (request !== wanted) return;
  say('');
  figure = main;
  const moments = figure.moments || [];
  part.slider.hidden = moments.length < 2;
  part.step.max = String(Math.max(0, moments.length - 1));
  const keys = [offered.texts[`${state.view}_key`], offered.texts.curves_key];
  if (!state.hidden && offered.hidden.length) keys.unshift(offered.texts.at_first);
  part.key.textContent = keys.join(' ');
  moment = placeOf(state.step);
  apply(moment);
  const options = {responsive: false, displaylogo: false, displayModeBar: false};
  // The cards are the legend. Zoom lasts as long as the same things are on show.
  const ticks = figure.layout.xaxis?.ticktext;
  const shown = JSON.stringify([state.filter, state.view, part.quantity.value, ticks]);
  const plain = (layout) => ({...layout, showlegend: false, uirevision: shown});
  await Plotly.react(part.main, visible(figure.data), themed(plain(figure.layout), part.main), options);
  part.main.setAttribute('aria-label', part.quantity.selectedOptions[0]?.textContent || '');
  performance.mark('first figure');
  mark();
  const found = await besides;
  if (request !== wanted) return;
  curves = found;
  part.curves.hidden = !curves.data.length;
  await Plotly.react(part.curves, visible(curves.data), themed(plain(curves.layout), part.curves), options);
  mark();
}

// The moment at or before a step; the last one by default.
function placeOf(step) {
  const moments = figure.moments || [];
  if (step === '') return Math.max(0, moments.length - 1);
  return Math.max(0, moments.findLastIndex((one) => one.step <= Number(step)));
}

function apply(place) {
  const at = (figure.moments || [])[place];
  if (!at) return;
  for (const [trace, changes] of Object.entries(at.update)) figure.data[trace] = {...figure.data[trace], ...changes};
}

async function show(place) {
  if (!figure || !figure.moments) return;
  moment = place;
  apply(place);
  state.step = place === figure.moments.length - 1 ? '' : String(figure.moments[place].step);
  writeAddress();
  mark();
  await Plotly.react(part.main, visible(figure.data), part.main.layout);
}

// The moment in words, and where it is on the curves.
function mark() {
  const at = (figure.moments || [])[moment];
  part.step.value = String(moment);
  part.moment.textContent = at ? at.title : '';
  const line = (axis) => ({
    type: 'line', xref: axis, yref: 'paper', x0: at.step, x1: at.step, y0: 0, y1: 1,
    line: {width: 1, color: 'rgba(128,128,128,0.8)'},
  });
  if (!part.curves.data || part.curves.hidden) return;
  // A line on an axis that no curve uses (a training without accuracy) makes plotly draw that axis at NaN.
  const axes = new Set(part.curves.data.map((trace) => trace.xaxis || 'x'));
  Plotly.relayout(part.curves, {shapes: at ? [...axes].map(line) : []});
}

function togglePlay() {
  if (playing) return stop();
  if (!figure || !figure.moments) return;
  if (moment >= figure.moments.length - 1) moment = -1;
  part.play.textContent = offered.texts.pause;
  playing = setInterval(() => {
    if (moment >= figure.moments.length - 1) return stop();
    show(moment + 1);
  }, MILLISECONDS_PER_MOMENT);
}

function stop() {
  clearInterval(playing);
  playing = null;
  if (offered) part.play.textContent = offered.texts.play;
}

function onKey(event) {
  if (isTaken(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  const last = ((figure && figure.moments) || []).length - 1;
  const actions = {
    ArrowLeft: () => show(Math.max(0, moment - 1)),
    ArrowRight: () => show(Math.min(last, moment + 1)),
    Home: () => show(0),
    End: () => show(last),
    ' ': togglePlay,
    '/': () => part.filter.focus(),
    1: () => choose({view: VIEWS[0], step: ''}),
    2: () => choose({view: VIEWS[1], step: ''}),
    3: () => choose({view: VIEWS[2], step: ''}),
  };
  if (event.key in actions) {
    event.preventDefault();
    actions[event.key]();
  }
}

async function lookForNews() {
  if (document.hidden || playing || !offered) return;
  try {
    const found = await ask('state', {filter: state.filter, color: state.color});
    if (found.version !== offered.version) await refresh();
  } catch {
    // The board has ended; the page stays as it is.
  }
}

function save(format) {
  if (!figure) return;
  const size = {width: part.main.clientWidth, height: part.main.clientHeight};
  const alone = {data: part.main.data, layout: {...part.main.layout, showlegend: state.view !== 'map'}};
  Plotly.downloadImage(alone, {format, filename: `depth_${state.view}`, scale: format === 'png' ? 2 : 1, ...size});
}

function resize() {
  if (!figure) return;
  for (const element of [part.main, part.curves]) {
    if (element.data) Plotly.relayout(element, themed(element.layout, element));
  }
}

// Light and dark, as TensorBoard is

function followTheme() {
  const set = () => {
    document.body.classList.toggle('dark', isDark());
    if (figure) {
      for (const element of [part.main, part.curves]) Plotly.relayout(element, themed(element.layout, element));
    }
  };
  set();
  new MutationObserver(set).observe(window.parent.document.body, {attributeFilter: ['class']});
}
