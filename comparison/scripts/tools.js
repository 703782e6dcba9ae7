"use strict";
// What every other script here uses: the data, elements, numbers as text, colours.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const THEME = window.matchMedia("(prefers-color-scheme: dark)");
const redraw = []; // called when theme or choice of runs changes

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

// Ten colours that differ clearly on white and on black; further runs get other hues and dashes.
const COLOURS = ["#2f7fd1", "#e0701b", "#2a9d5c", "#d1414b", "#8e63ce", "#9a6b4f", "#d763ad", "#808a93", "#a39a1f", "#1ba3b5"];
const colour = (k) => k < COLOURS.length ? COLOURS[k] : `hsl(${(k * 137.5) % 360} 55% 52%)`;
const dash = (k) => [[], [6, 4], [2, 3], [9, 3, 2, 3]][Math.floor(k / COLOURS.length) % 4];
