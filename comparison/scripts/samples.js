// The validation samples of training runs, epoch by epoch.

function showSamples(set, runs, heading) {
  const members = Object.keys(set.runs).map(Number);
  const epochs = [...new Set(members.flatMap((k) => Object.keys(set.runs[k].epochs).map(Number)))].sort((a, b) => a - b);
  const slider = el("input", { type: "range", className: "epoch", min: 0, max: epochs.length - 1, value: epochs.length - 1, ariaLabel: "epoch" });
  const epochShown = el("output", {});
  const best = el("input", { type: "checkbox", className: "at-best" });
  const wrong = el("input", { type: "checkbox", className: "errors" });
  const order = el("select", { className: "order" }, ...["disagreement", "error", "name"].map((name) => el("option", {}, name)));
  const table = el("table");
  const box = el("div", { className: "samples" }, el("h2", {}, heading),
    el("p", { className: "bar" }, el("label", {}, "Epoch ", slider, epochShown), el("label", {}, best, "each run at its best epoch"),
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
    epochShown.textContent = best.checked ? "best" : epochs[slider.value];
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
