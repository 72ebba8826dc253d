// Light and dark, as TensorBoard is.

export function isDark() {
  return window.parent.document.body.classList.contains('dark-mode');
}

export function themed(layout, element) {
  const [ink, grid] = isDark() ? ['#e4e6ea', '#45484d'] : ['#24292f', '#dfe3e8'];
  const width = element.clientWidth;
  const result = {
    ...layout,
    width,
    height: element.clientHeight,
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    font: {color: ink, size: 12, family: 'Roboto, Helvetica, Arial, sans-serif'},
  };
  if (width < 500) {
    result.legend = {...layout.legend, orientation: 'h', y: -0.2};
    result.margin = {...layout.margin, l: 64};
  }
  for (const name of Object.keys(layout).filter((one) => /^[xy]axis\d*$/.test(one))) {
    result[name] = {...layout[name], gridcolor: grid, linecolor: grid};
  }
  return result;
}
