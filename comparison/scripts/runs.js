// Training runs: their table, and the curves.

const visible = new Set();
const charts = [];

function trainingTable({ runs, classes }) {
  const score = (name, digits, more) => ({ value: (r) => r[name], show: fixed(digits), more, best: (r) => r.best.includes(name) });
  const sets = new Set(runs.map((r) => r.set)).size > 1;
  const columns = [
    { title: "run", text: true, value: (r) => r.name, show: (name, r) => {
      const box = el("input", { type: "checkbox", checked: visible.has(r.k), ariaLabel: `show ${name}`,
        onchange: () => { box.checked ? visible.add(r.k) : visible.delete(r.k); redraw.forEach((draw) => draw()); } });
      return el("span", { title: r.path }, box, " ", swatch(r.k), name);
    } },
    { title: "script", text: true, value: (r) => r.script },
    { title: "status", text: true, value: (r) => r.status, show: (status, r) => r.reason ? `${status}: ${r.reason}` : status, cls: (r) => r.status === "failed" ? "failed" : "" },
    { title: "epochs", value: (r) => r.epochs, show: (n, r) => r.planned ? `${n} / ${r.planned}` : `${n}`, more: true },
    { title: "best epoch", value: (r) => r.best_epoch },
    { title: "L1", ...score("l1", 4, false) },
    { title: "pixel accuracy", ...score("pixel_acc", 3, true) },
    { title: "class accuracy", ...score("class_acc", 3, true) },
    { title: "mIoU", ...score("miou", 3, true) },
    { title: "time", value: (r) => r.seconds, show: duration },
    { title: "images/s", ...score("images_per_s", 1, true) },
  ];
  if (sets) columns.push({ title: "set", value: (r) => r.set + 1 });
  const draw = () => fillTable($("runs"), columns, runs, (line, r) => {
    line.onmouseenter = () => charts.forEach((chart) => chart.setSeries(r.k + 1, { focus: true }));
    line.onmouseleave = () => charts.forEach((chart) => chart.setSeries(null, { focus: true }));
  });
  const choose = (wanted) => { visible.clear(); wanted.forEach((r) => visible.add(r.k)); draw(); redraw.forEach((draw) => draw()); };
  $("show-all").onclick = () => choose(runs);
  $("show-none").onclick = () => choose([]);
  $("show-best").onclick = () => choose([...runs].sort((a, b) => compare(a.miou, b.miou, true) || compare(a.l1, b.l1, false)).slice(0, 6));
  runs.forEach((r) => visible.add(r.k));
  draw();
  settingsTable($("settings"), data.training.settings, runs.map((r) => r.name));

  if (classes.length) {
    fillTable($("classes"), [{ title: "run", text: true, value: (r) => r.name, show: (name, r) => el("span", {}, swatch(r.k), name) },
      ...classes.map((name) => ({ title: name.replaceAll("_", " "), value: (r) => r.iou[name], show: fixed(3), more: true, meter: true,
        best: (r) => r.best_iou.includes(name) }))], runs);
  } else {
    $("classes").replaceChildren(el("tbody", {}, el("tr", {}, el("td", { className: "text" }, "No run has a palette."))));
  }
}
function swatch(k) {
  const mark = el("span", { className: "swatch" });
  mark.style.background = colour(k);
  return mark;
}

const TITLES = { d: "discriminator loss", gan: "GAN loss", l1: "L1", pixel_acc: "pixel accuracy", class_acc: "class accuracy", miou: "mIoU" };
function title(measure) {
  const [, split, name] = measure.match(/^(val|train)_(.*)$/) ?? [];
  return split ? `${TITLES[name] ?? name}, ${split === "val" ? "validation" : "training"}` : measure.replaceAll("_per_s", "/s").replaceAll("_", " ");
}

function drawCurves({ runs, measures, curves }) {
  const along = $("axis").value;
  // x of each run: epochs, or minutes since its start
  const xs = curves.map((curve) => {
    if (along === "epoch") return curve.epoch;
    let sum = 0;
    return curve.seconds.map((s) => (sum += (s ?? 0) / 60));
  });
  charts.splice(0).forEach((chart) => chart.destroy());
  $("curves").replaceChildren();
  for (const measure of measures) {
    // one table a run; a run that lacks the measure keeps its place with one empty point
    const tables = curves.map((curve, k) => {
      const kept = xs[k].map((_, i) => i).filter((i) => curve[measure]?.[i] !== null && curve[measure]?.[i] !== undefined);
      return kept.length ? [kept.map((i) => xs[k][i]), kept.map((i) => curve[measure][i])] : [[xs[k][0] ?? 1], [null]];
    });
    const box = el("div", { className: "chart" }, el("h3", {}, title(measure)));
    $("curves").append(box);
    const axis = { stroke: () => colourOf("--dim"), grid: { stroke: () => colourOf("--line"), width: 1 }, ticks: { stroke: () => colourOf("--line"), width: 1 } };
    const chart = new uPlot({
      width: box.clientWidth - 10, height: 250,
      scales: { x: { time: false } },
      axes: [{ ...axis }, { ...axis, size: 58 }],
      series: [{}, ...runs.map((r) => ({
        label: r.name, stroke: colour(r.k), dash: dash(r.k), width: runs.length > 12 ? 1.2 : 1.8, spanGaps: true, show: visible.has(r.k),
        points: { show: tables[r.k][0].length < 3, size: 5 },
      }))],
      legend: { show: false },
      focus: { alpha: 0.15 },
      cursor: { focus: { prox: runs.length > 8 ? 25 : -1 }, dataIdx: nearestIndex, points: { size: 7 } },
      hooks: { setCursor: [(u) => tip(u, runs, measure, along)] },
    }, uPlot.join(tables), box);
    charts.push(chart);
    chart.root.addEventListener("mouseleave", () => { $("tip").hidden = true; });
  }
}
// Runs are validated at different epochs: the nearest point that the series has, if one is near at all.
function nearestIndex(u, series, index) {
  const values = u.data[series];
  if (series === 0 || isNumber(values[index])) return index;
  for (let d = 1; d <= Math.max(3, values.length / 20); d++) {
    if (isNumber(values[index - d])) return index - d;
    if (isNumber(values[index + d])) return index + d;
  }
  return index;
}
function tip(u, runs, measure, along) {
  const { left, top, idxs } = u.cursor;
  const box = $("tip");
  if (left < 0 || !idxs) { box.hidden = true; return; }
  // few runs: all values; many: the nearest curves, nearest first
  const near = runs.map((r) => ({ r, i: idxs[r.k + 1] }))
    .filter(({ r, i }) => visible.has(r.k) && isNumber(u.data[r.k + 1][i]))
    .map(({ r, i }) => ({ r, x: u.data[0][i], y: u.data[r.k + 1][i] }))
    .map((p) => ({ ...p, far: Math.abs(u.valToPos(p.y, "y") - top) }))
    .sort((a, b) => a.far - b.far).slice(0, 8);
  if (!near.length) { box.hidden = true; return; }
  const shown = runs.length > 8 ? near.slice(0, 4) : near.sort((a, b) => b.y - a.y);
  const at = (x) => along === "epoch" ? `epoch ${x}` : `${x.toFixed(1)} min`;
  box.replaceChildren(el("strong", {}, `${title(measure)}, ${at(u.data[0][u.cursor.idx])}`), ...shown.map(({ r, x, y }) =>
    el("div", {}, el("span", {}, swatch(r.k), r.name), el("span", {}, y.toPrecision(4) + (x === u.data[0][u.cursor.idx] ? "" : ` (${at(x)})`)))));
  box.hidden = false;
  const area = u.over.getBoundingClientRect();
  box.style.left = `${Math.min(area.left + left + 16, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(area.top + top + 16, innerHeight - box.offsetHeight - 8)}px`;
}
