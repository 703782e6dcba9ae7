// Folders of edited faces: their table, and before and after by seed.

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
