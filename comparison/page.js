"use strict";
// Builds the page from the JSON in #data. Order: small tools, tables, curves, pictures, faces.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const THEME = window.matchMedia("(prefers-color-scheme: dark)");

// ---------------------------------------------------------------- small tools

// el("td", {className: "x", onclick: f}, child, ...): an element; text goes in as text, never as HTML
function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const isNumber = (value) => typeof value === "number";
const fixed = (digits) => (value) => value.toFixed(digits);
const percent = (value) => `${Math.round(value * 100)} %`;
function duration(seconds) {
  const whole = Math.round(seconds); // as the table in the terminal does
  const [h, m, s] = [whole / 3600, (whole % 3600) / 60, whole % 60].map(Math.floor);
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
const plain = (value) => value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value)
  : isNumber(value) ? String(Number(value.toPrecision(12))) : String(value);
// Resolved by the browser, because a canvas does not know light-dark().
function colourOf(name) {
  const probe = el("i", { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// Ten colours that can be told apart on white and on black; further runs take other hues and dashes.
const COLOURS = ["#2f7fd1", "#e0701b", "#2a9d5c", "#d1414b", "#8e63ce", "#9a6b4f", "#d763ad", "#808a93", "#a39a1f", "#1ba3b5"];
const colour = (k) => k < COLOURS.length ? COLOURS[k] : `hsl(${(k * 137.5) % 360} 55% 52%)`;
const dash = (k) => [[], [6, 4], [2, 3], [9, 3, 2, 3]][Math.floor(k / COLOURS.length) % 4];

// ---------------------------------------------------------------- tables

// A sortable table. columns: {title, value(row), show(value, row), text, best(row), cls(row), meter}; the first heads the row.
function fillTable(table, columns, rows, decorate = () => {}) {
  let sorted = { column: null, down: false };
  const body = el("tbody");
  const heads = columns.map((column) => {
    const head = el("th", { scope: "col", className: column.text ? "text" : "" },
      el("button", { type: "button", onclick: () => sort(column) }, column.title));
    return head;
  });
  function sort(column) {
    // first click: the better end on top
    const down = sorted.column === column ? !sorted.down : Boolean(column.more);
    sorted = { column, down };
    heads.forEach((head, k) => columns[k] === column ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"));
    draw();
  }
  function draw() {
    const { column, down } = sorted;
    const order = [...rows];
    if (column) order.sort((a, b) => compare(column.value(a), column.value(b), down));
    body.replaceChildren(...order.map((row) => {
      const line = el("tr");
      columns.forEach((column, k) => {
        const value = column.value(row);
        const shown = value === null || value === undefined ? "–" : column.show ? column.show(value, row) : plain(value);
        const cell = el(k ? "td" : "th", { className: [column.text && "text", column.best?.(row) && "best", column.cls?.(row)].filter(Boolean).join(" ") }, shown);
        if (k === 0) cell.scope = "row";
        if (column.text && typeof shown === "string") cell.title = shown;
        if (column.meter && isNumber(value)) { cell.classList.add("meter"); cell.style.setProperty("--share", `${100 * value}%`); }
        line.append(cell);
      });
      decorate(line, row);
      return line;
    }));
  }
  table.replaceChildren(el("thead", {}, el("tr", {}, ...heads)), body);
  draw();
}
// Empty values stay at the bottom, whichever way it is sorted.
function compare(a, b, down) {
  const empty = (v) => v === null || v === undefined;
  if (empty(a) || empty(b)) return empty(a) - empty(b);
  const order = isNumber(a) && isNumber(b) ? a - b : plain(a).localeCompare(plain(b), undefined, { numeric: true });
  return down ? -order : order;
}
function settingsTable(table, settings, names) {
  const keys = Object.keys(settings);
  if (names.length < 2 || !keys.length) {
    table.replaceChildren(el("tbody", {}, el("tr", {}, el("td", { className: "text" }, names.length < 2 ? "There is one folder alone." : "None."))));
    return;
  }
  fillTable(table, [{ title: "run", text: true, value: (k) => names[k] },
    ...keys.map((key) => ({ title: key, text: true, value: (k) => settings[key][k] }))], names.map((_, k) => k));
}

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
const redraw = []; // called when theme or choice of runs changes
THEME.addEventListener("change", themeChanged);

// ---------------------------------------------------------------- training: table, curves

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

// ---------------------------------------------------------------- pictures

const SIDE = 256;
const loaded = new Map();
function load(address) {
  if (!loaded.has(address)) {
    const image = new Image();
    image.src = address;
    loaded.set(address, image.decode().then(() => image));
  }
  return loaded.get(address);
}
// A drawing is an async function that paints a SIDE x SIDE context; row picks a sample of a strip.
const drawing = (address, row = 0) => async (context) => {
  const image = await load(address);
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, row * image.width, image.width, image.width, 0, 0, SIDE, SIDE);
};
async function pixels(draw) {
  const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
  await draw(context);
  return context.getImageData(0, 0, SIDE, SIDE);
}
// Red where the prediction differs from the truth, over the truth in pale grey; void, which is not scored, is blue.
const errors = (prediction, truth, isVoid) => async (context) => {
  const [{ data: p }, { data: t }] = await Promise.all([pixels(prediction), pixels(truth)]);
  const out = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < p.length; i += 4) {
    const grey = 215 + 0.12 * (t[i] + t[i + 1] + t[i + 2]) / 3;
    const far = (Math.abs(p[i] - t[i]) + Math.abs(p[i + 1] - t[i + 1]) + Math.abs(p[i + 2] - t[i + 2])) / 3;
    const red = isVoid(t[i], t[i + 1], t[i + 2]) ? -1 : Math.min(1, far / 85);
    out.data.set(red < 0 ? [150, 170, 205, 255] : [grey + (200 - grey) * red, grey * (1 - red), grey * (1 - red), 255], i);
  }
  context.putImageData(out, 0, 0);
};
// Draw into a canvas; of several drawings in flight the newest wins.
async function paint(canvas, draw) {
  const turn = (canvas.turn = (canvas.turn ?? 0) + 1);
  const off = new OffscreenCanvas(SIDE, SIDE);
  if (draw) await draw(off.getContext("2d"));
  if (canvas.turn !== turn) return;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, SIDE, SIDE);
  context.drawImage(off, 0, 0);
}
const tile = (onclick, label) => el("canvas", { width: SIDE, height: SIDE, onclick, title: label, role: "img", ariaLabel: label });

// Two pictures in one frame with a movable border. sources(item): Map of label -> drawing.
function makeWipe(box, items, sources, first) {
  const canvas = el("canvas", { width: SIDE * 2, height: SIDE * 2, role: "img", ariaLabel: "two pictures with a movable border" });
  const range = el("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, ariaLabel: "border between the two pictures" });
  const item = el("select", { className: "item" }, ...items.map((name, k) => el("option", { value: k }, name)));
  const [left, right] = [el("select", { className: "left" }), el("select", { className: "right" })];
  let turn = 0;
  function update(wanted) {
    const names = [...sources(Number(item.value)).keys()];
    for (const [k, select] of [left, right].entries()) {
      const keep = wanted?.[k] ?? select.value;
      select.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
      select.value = names.includes(keep) ? keep : first(names)[k];
    }
    draw();
  }
  async function draw() {
    const mine = ++turn;
    const map = sources(Number(item.value));
    const [a, b] = await Promise.all([left, right].map(async (select) => {
      const off = new OffscreenCanvas(SIDE, SIDE);
      await map.get(select.value)?.(off.getContext("2d"));
      return off;
    }));
    if (mine !== turn) return;
    const context = canvas.getContext("2d");
    const cut = SIDE * range.value / 100;
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = false;
    if (cut > 0) context.drawImage(a, 0, 0, cut, SIDE, 0, 0, 2 * cut, 2 * SIDE);
    if (cut < SIDE) context.drawImage(b, cut, 0, SIDE - cut, SIDE, 2 * cut, 0, 2 * (SIDE - cut), 2 * SIDE);
    context.fillStyle = "#fff"; context.fillRect(2 * cut - 1.5, 0, 3, 2 * SIDE);
    context.fillStyle = "#000"; context.fillRect(2 * cut - 0.5, 0, 1, 2 * SIDE);
  }
  canvas.onpointermove = (event) => {
    if (event.pointerType === "mouse" || event.buttons) { range.value = 100 * event.offsetX / canvas.clientWidth; draw(); }
  };
  range.oninput = left.onchange = right.onchange = draw;
  item.onchange = () => update();
  box.append(el("div", { className: "wipe" }, el("div", { className: "stage" }, canvas, range), el("div", { className: "choice" },
    el("label", {}, "picture", item), el("label", {}, "left", left), el("label", {}, "right", right),
    el("span", { className: "hint" }, "Move over the picture, or move the slider. A click on a picture in the table below brings it here."))));
  if (items.length) update();
  return { update, show: (k, a, b) => { item.value = k; update([a, b]); } };
}

// ---------------------------------------------------------------- training: samples

function showSamples(set, runs, heading) {
  const members = Object.keys(set.runs).map(Number);
  const epochs = [...new Set(members.flatMap((k) => Object.keys(set.runs[k].epochs).map(Number)))].sort((a, b) => a - b);
  const slider = el("input", { type: "range", className: "epoch", min: 0, max: epochs.length - 1, value: epochs.length - 1, ariaLabel: "epoch" });
  const said = el("output", {});
  const best = el("input", { type: "checkbox", className: "at-best" });
  const wrong = el("input", { type: "checkbox", className: "errors" });
  const order = el("select", { className: "order" }, ...["disagreement", "error", "name"].map((name) => el("option", {}, name)));
  const table = el("table");
  const box = el("div", { className: "samples" }, el("h2", {}, heading),
    el("p", { className: "bar" }, el("label", {}, "Epoch ", slider, said), el("label", {}, best, "each run at its best epoch"),
      el("label", {}, wrong, "errors in red"), el("label", {}, "sorted by ", order)),
    el("p", { className: "hint" }, "Disagreement: mean distance of the runs' last predictions from their mean; error: mean distance from the truth; both on 0 to 1. "
      + "A run that has no picture of an epoch shows its newest before it. Void, which is not scored, is blue among the errors."));
  $("sets").append(box);

  const isVoid = (r, g, b) => set.void.some(([R, G, B]) => Math.abs(r - R) + Math.abs(g - G) + Math.abs(b - B) < 12);
  // the epoch of a run that is shown, or undefined before its first
  function epochOf(k) {
    const own = Object.keys(set.runs[k].epochs).map(Number);
    if (best.checked && own.includes(set.runs[k].best)) return set.runs[k].best;
    const limit = best.checked ? Infinity : epochs[slider.value];
    return own.filter((epoch) => epoch <= limit).pop();
  }
  function prediction(sample, k) {
    const [epoch, row] = [epochOf(k), set.runs[k].names.indexOf(sample.name)];
    if (epoch === undefined || row < 0) return null;
    const draw = drawing(set.runs[k].epochs[epoch], row);
    return wrong.checked ? errors(draw, drawing(sample.truth), isVoid) : draw;
  }
  const shown = () => members.filter((k) => visible.has(k));
  const wipe = makeWipe(box, set.samples.map((sample) => sample.name), (i) => {
    const sample = set.samples[i];
    return new Map([["input", drawing(sample.input)], ["truth", drawing(sample.truth)],
      ...members.map((k) => [runs[k].name, prediction(sample, k)]).filter(([, draw]) => draw)]);
  }, (names) => names.length > 3 ? [names[2], names[3]] : [names[0], names[names.length - 1]]);
  box.append(el("div", { className: "tiles" }, table));

  let cells = []; // [canvas, sample, run] of predictions, repainted when the epoch moves
  let headings = [];
  function build() {
    const sorted = set.samples.map((sample, i) => ({ ...sample, i }));
    if (order.value === "name") sorted.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    else sorted.sort((a, b) => b[order.value] - a[order.value]);
    cells = [];
    headings = shown().map((k) => ({ k, note: el("small", {}) }));
    const still = (sample, name) => {
      const canvas = tile(() => wipe.show(sample.i, name), `${sample.name}: ${name}`);
      paint(canvas, drawing(sample[name]));
      return el("td", {}, canvas);
    };
    table.replaceChildren(
      el("thead", {}, el("tr", {}, el("th", {}), el("th", {}, "input"), el("th", {}, "truth"),
        ...headings.map(({ k, note }) => el("th", {}, swatch(k), runs[k].name, note)))),
      el("tbody", {}, ...sorted.map((sample) => el("tr", {}, el("th", {}, sample.name,
        el("small", {}, `disagreement ${sample.disagreement.toFixed(3)}`), el("small", {}, `error ${sample.error.toFixed(3)}`)),
      still(sample, "input"), still(sample, "truth"), ...shown().map((k) => {
        const canvas = tile(() => wipe.show(sample.i, "truth", runs[k].name), `${sample.name}: ${runs[k].name}`);
        cells.push([canvas, sample, k]);
        return el("td", {}, canvas);
      })))));
    update();
  }
  function update() {
    said.textContent = best.checked ? "best" : epochs[slider.value];
    slider.disabled = best.checked;
    headings.forEach(({ k, note }) => { note.textContent = epochOf(k) === undefined ? "no picture yet" : `epoch ${epochOf(k)}`; });
    cells.forEach(([canvas, sample, k]) => paint(canvas, prediction(sample, k)));
    wipe.update();
  }
  slider.oninput = best.onchange = wrong.onchange = update;
  order.onchange = build;
  let choice = [...visible].join();
  redraw.push(() => { if (choice !== [...visible].join()) { choice = [...visible].join(); build(); } });
  build();
}

// ---------------------------------------------------------------- edited faces

function showEdits({ folders, settings, faces, pictures }) {
  const score = (name, digits, more = false) => ({ value: (f) => f[name], show: fixed(digits), more, best: (f) => f.best.includes(name) });
  const measures = [...new Set(folders.flatMap((f) => Object.keys(f.measures)))];
  fillTable($("folders"), [
    { title: "folder", text: true, value: (f) => f.name },
    { title: "edit", text: true, value: (f) => f.edit },
    { title: "strength", value: (f) => f.strength },
    { title: "faces", value: (f) => f.faces },
    { title: "success", value: (f) => f.success, show: (v, f) => `${f.ok} (${percent(v)})`, more: true, best: (f) => f.best.includes("success") },
    { title: "seconds", ...score("seconds", 1) },
    { title: "steps", ...score("steps", 0) },
    { title: "tracker to target, px", ...score("mean_distance_px", 2) },
    { title: "landmarks to target, px", ...score("landmark_distance_px", 2) },
    { title: "identity distance", ...score("identity_distance", 3) },
    { title: "outside change", ...score("outside_change", 4) },
    ...measures.map((name) => ({ title: name.replaceAll("_", " "), value: (f) => f.measures[name]?.[1],
      show: (_, f) => f.measures[name].map((v) => v === null ? "–" : v.toFixed(3)).join(" → ") })),
  ], folders);
  settingsTable($("edit-settings"), settings, folders.map((f) => f.name));

  const order = el("select", { className: "order" }, ...["seed", "failed first", "identity distance", "landmark distance"].map((name) => el("option", {}, name)));
  const table = el("table");
  const box = $("faces");
  box.append(el("p", { className: "bar" }, el("label", {}, "sorted by ", order)));
  // one column "before" where all folders edit the same picture
  const shared = faces.every((face) => new Set(face.folders.filter(Boolean).map((f) => f.before)).size < 2);
  const draw = (k) => k === undefined || pictures[k] === null ? null : drawing(pictures[k]);
  const wipe = makeWipe(box, faces.map((face) => `${face.id}`), (i) => {
    const map = new Map();
    faces[i].folders.forEach((record, k) => {
      for (const state of ["before", "after"]) {
        const name = state === "before" && shared ? "before" : `${folders[k].name} ${state}`;
        const picture = draw(record?.[state]);
        if (picture && !map.has(name)) map.set(name, picture);
      }
    });
    return map;
  }, (names) => [names[0], names[1] ?? names[0]]);
  box.append(el("div", { className: "tiles" }, table));

  const worst = (face, name) => Math.max(...face.folders.map((f) => f?.[name] ?? -1));
  const failed = (face) => face.folders.filter((f) => f && !f.ok).length;
  function cell(i, record, state, name) {
    if (!record) return el("td", {}, el("small", {}, "not in this folder"));
    const before = shared ? "before" : name.replace(/after$/, "before");
    const canvas = tile(() => wipe.show(i, before, name), `${faces[i].id}: ${name}`);
    paint(canvas, draw(record[state]));
    const number = (key, digits, unit) => isNumber(record[key]) ? `${record[key].toFixed(digits)}${unit}` : null;
    const text = [number("steps", 0, " steps"), number("seconds", 1, " s"), number("landmark_distance_px", 1, " px"),
      isNumber(record.identity_distance) ? `identity ${record.identity_distance.toFixed(2)}` : null].filter(Boolean).join(", ");
    return el("td", {}, canvas, state === "after" ? el("small", {}, text) : null,
      state === "after" && !record.ok ? el("small", { className: "failed" }, record.reason || "failed") : null);
  }
  function build() {
    const sorted = faces.map((face, i) => ({ ...face, i }));
    if (order.value === "failed first") sorted.sort((a, b) => failed(b) - failed(a));
    if (order.value === "identity distance") sorted.sort((a, b) => worst(b, "identity_distance") - worst(a, "identity_distance"));
    if (order.value === "landmark distance") sorted.sort((a, b) => worst(b, "landmark_distance_px") - worst(a, "landmark_distance_px"));
    const columns = folders.flatMap((f, k) => shared ? [[k, "after"]] : [[k, "before"], [k, "after"]]);
    table.replaceChildren(
      el("thead", {}, el("tr", {}, el("th", {}), shared ? el("th", {}, "before") : null,
        ...columns.map(([k, state]) => el("th", {}, shared ? folders[k].name : `${folders[k].name} ${state}`, el("small", {}, plain(folders[k].edit)))))),
      el("tbody", {}, ...sorted.map((face) => el("tr", {}, el("th", {}, `${face.id}`),
        shared ? cell(face.i, face.folders.find((f) => f?.before !== undefined) ?? face.folders.find(Boolean), "before", "before") : null,
        ...columns.map(([k, state]) => cell(face.i, face.folders[k], state, `${folders[k].name} ${state}`))))));
  }
  order.onchange = build;
  build();
}

// ---------------------------------------------------------------- go

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
