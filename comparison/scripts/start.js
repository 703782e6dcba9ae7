// Runs last: the notes, the theme, and the parts that the data has.

$("made").textContent = `made ${data.made}`;
$("notes").append(...data.notes.map((note) => el("li", {}, note)));
$("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : THEME.matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  themeChanged();
};
function themeChanged() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : THEME.matches;
  $("theme").textContent = dark ? "Light" : "Dark";
  redraw.forEach((draw) => draw());
}
THEME.addEventListener("change", themeChanged);

if (data.training) {
  const { training } = data;
  training.runs.forEach((run, k) => { run.k = k; });
  $("training").hidden = false;
  trainingTable(training);
  drawCurves(training);
  $("axis").onchange = () => drawCurves(training);
  redraw.push(() => charts.forEach((chart) => chart.batch(() => {
    training.runs.forEach((r) => { if (chart.series[r.k + 1].show !== visible.has(r.k)) chart.setSeries(r.k + 1, { show: visible.has(r.k) }); });
    chart.redraw(false, true);
  })));
  new ResizeObserver(() => charts.forEach((chart) => {
    const width = chart.root.parentElement.clientWidth - 10;
    if (Math.abs(width - chart.width) > 1) chart.setSize({ width, height: chart.height });
  })).observe($("curves"));
  training.samples.forEach((set, n) => showSamples(set, training.runs, training.samples.length > 1 ? `Samples of validation set ${n + 1}` : "Samples"));
}
if (data.edits) {
  $("edits").hidden = false;
  showEdits(data.edits);
}
themeChanged();
document.documentElement.dataset.ready = "yes";
