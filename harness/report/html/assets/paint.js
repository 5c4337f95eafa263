// What a timeline looks like.
"use strict";

const FONT = "12px system-ui, sans-serif";
const SMALL = "10.5px system-ui, sans-serif";

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "dim", "line", "ground", "raised", "process", "thread", "image", "driver", "broken", "earlier", "kept", "near"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function paint(line) {
  const { pen, width, height, colours: colour } = line;
  pen.fillStyle = colour.raised;
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = "middle";
  pen.save();
  pen.beginPath();
  pen.rect(0, RULER, width, height - RULER - MAP);
  pen.clip();
  pen.translate(0, RULER - line.viewport.scrollTop);
  const { lanes } = line;
  if (lanes.shown.length) {
    const last = lanes.placeAt(line.viewport.scrollTop + height);
    for (let place = lanes.placeAt(line.viewport.scrollTop); place <= last; place++) {
      paintLane(line, lanes.shown[place], lanes.top[place]);
    }
  }
  paintProof(line);
  paintRing(line, line.hovered, colour.dim);
  paintRing(line, line.current, colour.text);
  pen.restore();
  paintRuler(line);
  paintMap(line);
}

function paintLane(line, lane, top) {
  const { pen, events, lanes, colours: colour, width } = line;
  const pixel = (at) => (line.x[at] - line.left) * line.scale;
  const begin = events.lanes.from[lane];
  const end = events.lanes.to[lane];
  const from = lane === 0 ? 0 : begin < 0 ? -4 : Math.max(pixel(begin), -4);
  const to = lane === 0 || end < 0 ? width + 4 : Math.min(pixel(end), width + 4);
  const bar = top + LANE.name;
  pen.strokeStyle = colour.line;
  pen.lineWidth = 1;
  pen.strokeRect(-1, Math.round(top + lanes.heightOf(lane)) - 3.5, width + 2, 0);
  if (to > from) {
    pen.fillStyle = lane === 0 ? colour.line : colour.process;
    pen.globalAlpha = 0.35;
    pen.fillRect(from, bar, Math.max(to - from, 2), LANE.bar);
    pen.globalAlpha = 1;
  }
  paintThreads(line, lane, bar + LANE.bar + (lanes.labelled[lane] ? LANE.labels : 2));
  paintEvents(line, lane, bar);
  const depth = Math.min(events.lanes.depth[lane], 8);
  const name = `${"\u00a0\u00a0".repeat(depth)}${depth ? "↳ " : ""}${events.lanes.name[lane]}`;
  pen.font = FONT;
  pen.fillStyle = colour.text;
  pen.fillText(shortTo(pen, name, width - 12), 6, top + LANE.name / 2);
}

function paintThreads(line, lane, top) {
  const { pen } = line;
  pen.fillStyle = line.colours.thread;
  const first = line.left;
  const last = line.left + line.width / line.scale;
  const begins = firstAtLeast(line.x, first);
  const ends = Math.min(firstAtLeast(line.x, last), line.x.length - 1);
  line.lanes.threads[lane].forEach((row, number) => {
    const y = top + number * LANE.thread;
    for (let bar = firstAtLeast(row.to, begins); bar < row.from.length && row.from[bar] <= ends;) {
      const from = Math.max((line.x[row.from[bar]] - line.left) * line.scale, -2);
      const until = row.to[bar] === Infinity ? line.width + 2 : (line.x[row.to[bar]] - line.left) * line.scale;
      pen.fillRect(from, y, Math.max(until - from, 1.5), LANE.thread - 2);
      const next = firstAtLeast(line.x, line.left + (Math.max(until, from) + 1) / line.scale);
      bar = Math.max(firstAtLeast(row.to, next, bar + 1), bar + 1);
    }
  });
}

function paintEvents(line, lane, bar) {
  const { pen, events, colours: colour } = line;
  const positions = line.lanes.positions[lane];
  const last = line.left + (line.width + 4) / line.scale;
  let free = -Infinity;
  pen.font = SMALL;
  let number = firstAtLeast(positions, firstAtLeast(line.x, line.left - 4 / line.scale));
  while (number < positions.length && line.x[positions[number]] <= last) {
    const at = positions[number];
    const x = (line.x[at] - line.left) * line.scale;
    const kind = events.kindOf(at);
    if (kind === "process_create" || kind === "process_exit") {
      pen.fillStyle = kind === "process_create" ? colour.kept : colour.text;
      pen.fillRect(x - 1.5, bar - 2, 3, LANE.bar + 4);
    } else if (kind === "bugcheck" || kind === "stop" || kind === "rule_broken") {
      pen.fillStyle = colour.broken;
      pen.fillRect(x - 2, bar - 3, 4, LANE.bar + 6);
    } else if (!events.tid[at]) {
      pen.fillStyle = kind === "image_load" ? colour.image : colour.driver;
      pen.fillRect(x - 0.75, bar, 1.5, LANE.bar);
    } else {
      pen.fillStyle = colour.thread;
      pen.fillRect(x - 0.5, bar + LANE.bar - 3, 1, 5);
    }
    const label = events.labels[events.label[at]];
    if (label && line.scale > 6 && x > free) {
      pen.fillStyle = colour.dim;
      const text = shortTo(pen, label, 120);
      pen.fillText(text, x - 2, bar + LANE.bar + LANE.labels / 2 + 1);
      free = x + pen.measureText(text).width + 6;
    }
    // At most one a pixel.
    number = line.scale >= 1 ? number + 1
      : Math.max(firstAtLeast(positions, firstAtLeast(line.x, line.x[at] + 1 / line.scale), number + 1), number + 1);
  }
}

const MARK_COLOUR = { claimed: "kept", nearest: "near", earlier: "earlier", breaking: "broken", last: "near" };

function paintProof(line) {
  const { pen, proof, lanes, events, colours: colour } = line;
  if (!proof) return;
  const points = proof.points.map(({ at, mark, line: written }) => ({ at, mark, written, x: (line.x[at] - line.left) * line.scale, y: lanes.middleOf(events.lane[at]) }));
  for (const { mark, x } of points) {
    if (mark !== "breaking") continue;
    pen.fillStyle = colour.broken;
    pen.globalAlpha = 0.16;
    pen.fillRect(x - 5, 0, 10, Math.max(lanes.height, line.height));
    pen.globalAlpha = 1;
  }
  const seen = points.filter(({ y }) => y !== null);
  pen.lineWidth = 2;
  for (let place = 1; place < seen.length; place++) {
    const [one, other] = [seen[place - 1], seen[place]];
    if (Math.max(one.x, other.x) < 0 || Math.min(one.x, other.x) > line.width) continue;
    pen.strokeStyle = other.mark === "breaking" ? colour.broken : colour[MARK_COLOUR[other.mark]];
    pen.beginPath();
    pen.moveTo(one.x, one.y);
    pen.lineTo(other.x, other.y);
    pen.stroke();
  }
  pen.font = FONT;
  const taken = [];
  seen.sort((one, other) => (other.mark === "breaking") - (one.mark === "breaking"));
  for (const { at, mark, written, x, y } of seen) {
    if (x < -20 || x > line.width + 20) continue;
    pen.fillStyle = colour[MARK_COLOUR[mark]];
    pen.beginPath();
    pen.arc(x, y, mark === "claimed" ? 5 : 8, 0, 7);
    pen.fill();
    pen.fillStyle = colour.ground;
    pen.textAlign = "center";
    if (mark !== "claimed") pen.fillText(SIGNS[mark], x, y + 0.5);
    pen.textAlign = "left";
    const words = `${events.kindOf(at)}${mark === "claimed" ? "" : ` ${WORDS[mark]}`}${written ? `, line ${written}` : ""}`;
    paintWords(line, words, x, [y - 17, y + 18], taken, colour[MARK_COLOUR[mark]]);
  }
}

// Words on a ground of their own, above or below a mark and within the canvas, where there is room for them.
function paintWords(line, words, x, heights, taken, colour) {
  const { pen } = line;
  const size = pen.measureText(words).width;
  const from = Math.min(Math.max(x - size / 2, 4), Math.max(line.width - size - 8, 4));
  const y = heights.find((height) => taken.every((other) =>
    Math.abs(other.y - height) > 14 || other.from > from + size + 6 || other.to < from - 6));
  if (y === undefined) return;
  taken.push({ from, to: from + size, y });
  pen.fillStyle = line.colours.ground;
  pen.globalAlpha = 0.92;
  pen.fillRect(from - 3, y - 7, size + 6, 14);
  pen.globalAlpha = 1;
  pen.fillStyle = colour;
  pen.fillText(words, from, y + 0.5);
}

function paintRing(line, at, colour) {
  if (at === null) return;
  const y = line.lanes.middleOf(line.events.lane[at]);
  if (y === null) return;
  line.pen.strokeStyle = colour;
  line.pen.lineWidth = 2;
  line.pen.beginPath();
  line.pen.arc((line.x[at] - line.left) * line.scale, y, 10, 0, 7);
  line.pen.stroke();
}

function paintRuler(line) {
  const { pen, events, colours: colour } = line;
  pen.fillStyle = colour.ground;
  pen.fillRect(0, 0, line.width, RULER);
  pen.fillStyle = colour.dim;
  pen.font = SMALL;
  let free = -Infinity;
  const first = firstAtLeast(line.x, line.left);
  const stride = Math.max(1, Math.floor(60 / line.scale));
  for (let at = first - (first % stride); at < events.length; at += stride) {
    const x = (line.x[at] - line.left) * line.scale;
    if (x > line.width) break;
    if (x < free || x < 0) continue;
    const words = line.byTime && events.time[at] !== null ? events.timeOf(at) : String(events.index[at]);
    pen.fillText(words, x, RULER / 2);
    pen.fillRect(x, RULER - 3, 1, 3);
    free = x + Math.max(pen.measureText(words).width + 12, 50);
  }
}

// The whole recording in a strip: what is in view, and where promises were broken.
function paintMap(line) {
  const { pen, width, height, end, colours: colour } = line;
  const top = height - MAP;
  pen.fillStyle = colour.ground;
  pen.fillRect(0, top, width, MAP);
  pen.fillStyle = colour.line;
  pen.fillRect(0, top + 3, width, MAP - 6);
  pen.fillStyle = colour.process;
  pen.globalAlpha = 0.5;
  pen.fillRect((line.left / end) * width, top + 1, Math.max((width / line.scale / end) * width, 4), MAP - 2);
  pen.globalAlpha = 1;
  pen.fillStyle = colour.broken;
  for (const proof of line.events.proofs) {
    if (proof.broken && proof.place !== null) pen.fillRect((line.x[proof.place] / end) * width - 1, top, 3, MAP);
  }
}

// As much of a text as has room.
function shortTo(pen, text, room) {
  if (text.length * 4 < room || pen.measureText(text).width <= room) return text;
  let [fits, long] = [0, text.length];
  while (long - fits > 1) {
    const middle = (fits + long) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= room) fits = middle;
    else long = middle;
  }
  return `${text.slice(0, fits)}…`;
}
