// The live list of events and the chart. Whatever an event says is put in as text, never as markup.
"use strict";

const MOST_ROWS = 500;
const MOST_WAITING = 500;
const SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);

const body = find("events");
const rows = new Map();
let waiting = [];
let dropped = 0;
let paused = false;
let linked = false;
// Another process answers now, which does not know what this page has.
let stale = false;

function cell(row, text, name) {
  const made = row.insertCell();
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function rowOf(line) {
  const row = document.createElement("tr");
  row.dataset.mark = line.mark;
  const link = document.createElement("a");
  link.href = line.href;
  link.textContent = line.time;
  cell(row, "", "time").append(link);
  const verdict = document.createElement("span");
  cell(row, "").append(verdict);
  for (const text of [line.source, line.type, line.event, line.user]) cell(row, text);
  cell(row, line.note, "quiet");
  judge(row, line);
  return row;
}

function judge(row, line) {
  const verdict = row.cells[1].firstElementChild;
  verdict.textContent = line.verdict;
  verdict.className = `verdict ${line.verdict}`;
}

// A mark begins with the milliseconds at which the event arrived; the list has the newest first.
const arrived = (row) => parseInt(row.dataset.mark, 10);

function below(moment) {
  let row = body.rows[0];
  while (row && arrived(row) > moment) row = row.nextElementSibling;
  return row || null;
}

function show(lines) {
  for (const line of lines) {
    const there = rows.get(line.mark);
    if (there) {
      judge(there, line);
    } else {
      const row = rowOf(line);
      rows.set(line.mark, row);
      body.insertBefore(row, below(arrived(row)));
    }
  }
  while (body.rows.length > MOST_ROWS) {
    const last = body.rows[body.rows.length - 1];
    rows.delete(last.dataset.mark);
    last.remove();
  }
  find("nothing").hidden = body.rows.length > 0;
}

function tell() {
  const words = [];
  if (!linked) words.push("The connection is lost, trying again.");
  else words.push(paused ? `Paused, ${waiting.length} waiting.` : "Live.");
  if (dropped) words.push(`${dropped} were left out: they came faster than this page reads.`);
  const text = words.join(" ");
  if (find("state").textContent !== text) find("state").textContent = text;
}

function take(lines) {
  if (paused) waiting = waiting.concat(lines).slice(-MOST_WAITING);
  else show(lines);
  tell();
}

function pause() {
  paused = !paused;
  find("pause").textContent = paused ? "Resume" : "Pause";
  if (!paused && stale) location.reload();
  if (!paused) {
    show(waiting);
    waiting = [];
  }
  tell();
}

function drawn(name, values, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function draw(chart) {
  const parts = [];
  for (const level of chart.levels) {
    parts.push(drawn("line", { class: "level", x1: chart.margin, x2: chart.width, y1: level.at, y2: level.at }));
    parts.push(drawn("text", { class: "word", x: chart.margin - 6, y: level.at + 4, "text-anchor": "end" }, level.text));
  }
  for (const tick of chart.ticks) {
    parts.push(drawn("text", { class: "word", x: tick.at, y: chart.height - 4, "text-anchor": "middle" }, tick.text));
  }
  for (const column of chart.columns) {
    if (!column.bars.length) continue;
    const group = drawn("g", {});
    group.append(drawn("title", {}, column.title));
    group.append(drawn("rect", { class: "minute", x: column.x, y: 0, width: column.width, height: chart.height }));
    for (const bar of column.bars) {
      group.append(drawn("rect", { class: bar.kind, x: bar.x, y: bar.y, width: bar.width, height: bar.height }));
    }
    parts.push(group);
  }
  find("chart").replaceChildren(...parts);
  find("total").textContent = chart.total.toLocaleString("en");
}

function follow() {
  const source = new EventSource(body.dataset.stream);
  source.onopen = () => { linked = true; tell(); };
  source.onerror = () => { linked = false; tell(); };
  source.addEventListener("arrivals", (event) => take(JSON.parse(event.data)));
  source.addEventListener("chart", (event) => draw(JSON.parse(event.data)));
  source.addEventListener("anew", () => { source.close(); stale = true; if (!paused) location.reload(); });
  source.addEventListener("dropped", (event) => { dropped = JSON.parse(event.data); tell(); });
  addEventListener("pagehide", () => source.close());
}

function step(by) {
  const links = [...body.querySelectorAll("a")];
  const here = links.indexOf(document.activeElement);
  const next = links[here < 0 ? 0 : Math.min(Math.max(here + by, 0), links.length - 1)];
  if (next) next.focus();
}

function press(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
  const does = { j: () => step(1), k: () => step(-1), p: pause, "/": () => find("search").focus() };
  if (does[event.key]) {
    does[event.key]();
    event.preventDefault();
  }
}

if (body) {
  for (const row of body.rows) rows.set(row.dataset.mark, row);
  find("pause").hidden = find("keys").hidden = false;
  find("pause").addEventListener("click", pause);
  addEventListener("keydown", press);
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  follow();
}
