// Pictures: strips cut into samples, errors in red, two pictures with a movable border.

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
  const request = (canvas.request = (canvas.request ?? 0) + 1);
  const off = new OffscreenCanvas(SIDE, SIDE);
  if (draw) await draw(off.getContext("2d"));
  if (canvas.request !== request) return;
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
  let newest = 0;
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
    const request = ++newest;
    const map = sources(Number(item.value));
    const [a, b] = await Promise.all([left, right].map(async (select) => {
      const off = new OffscreenCanvas(SIDE, SIDE);
      await map.get(select.value)?.(off.getContext("2d"));
      return off;
    }));
    if (request !== newest) return;
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
