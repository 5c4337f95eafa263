// Where everything of a timeline lies: its lanes, one below the other, and what is on each.
"use strict";

const LANE = { name: 15, bar: 9, labels: 12, thread: 5, rows: 6, gap: 7 };
const ABOVE = 12;

// The threads of a lane as bars in rows; no two bars of a row overlap, and both of their ends rise. Where the
// rows do not suffice, the last one holds several in one bar.
function threadRows(events, positions) {
  const rows = [];
  const open = new Map();
  const free = [];
  const begin = (tid, at) => {
    let row = free.length ? free.pop() : rows.length;
    if (row >= LANE.rows) row = LANE.rows - 1;
    if (row === rows.length) rows.push({ from: [], to: [], open: 0 });
    const found = rows[row];
    if (!found.open) {
      found.from.push(at);
      found.to.push(at);
    }
    found.open += 1;
    open.set(tid, row);
  };
  const end = (tid, at) => {
    const row = open.get(tid);
    open.delete(tid);
    const found = rows[row];
    found.open -= 1;
    found.to[found.to.length - 1] = at;
    if (!found.open) free.push(row);
  };
  for (const at of positions) {
    const tid = events.tid[at];
    if (!tid) continue;
    const ends = events.kindOf(at) === "thread_exit";
    if (open.has(tid)) end(tid, at);
    else if (ends) {
      begin(tid, at); // it was there before the recording
      end(tid, at);
    }
    if (!ends) begin(tid, at);
  }
  for (const row of rows) if (row.open) row.to[row.to.length - 1] = Infinity;
  return rows;
}

class Lanes {
  constructor(events) {
    const number = events.lanes.name.length;
    this.events = events;
    this.positions = Array.from({ length: number }, () => []);
    events.lane.forEach((lane, at) => this.positions[lane].push(at));
    this.threads = this.positions.map((positions) => threadRows(events, positions));
    this.labelled = this.positions.map((positions) => positions.some((at) => events.labels[events.label[at]]));
    this.show(null);
  }

  // Show these lanes (a set), or all of them (null).
  show(chosen) {
    this.shown = [];
    this.top = [];
    let y = ABOVE; // room for the words at a mark of the first lane
    this.positions.forEach((positions, lane) => {
      if (chosen ? !chosen.has(lane) : !positions.length) return;
      this.shown.push(lane);
      this.top.push(y);
      y += this.heightOf(lane);
    });
    this.height = y;
    const among = new Set(this.shown);
    this.has = (lane) => among.has(lane);
    this.folded = this.positions.reduce((sum, positions, lane) => sum + (among.has(lane) ? 0 : positions.length), 0);
    this.foldedLanes = this.positions.filter((positions, lane) => positions.length && !among.has(lane)).length;
  }

  heightOf(lane) {
    return LANE.name + LANE.bar + (this.labelled[lane] ? LANE.labels : 2) + this.threads[lane].length * LANE.thread + LANE.gap;
  }

  // Which of the shown lanes lies at this height.
  placeAt(y) {
    return Math.min(Math.max(firstAtLeast(this.top, y + 1e-6) - 1, 0), this.shown.length - 1);
  }

  // The middle of the bar of a lane; null: it is not shown.
  middleOf(lane) {
    const place = this.shown.indexOf(lane);
    return place < 0 ? null : this.top[place] + LANE.name + LANE.bar / 2;
  }
}
