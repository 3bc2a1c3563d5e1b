// The page polls one address and draws what it says. Nothing is loaded from
// elsewhere, and nothing is built: this file is served as it is.

const every = 1000; // milliseconds between two questions
const $ = (id) => document.getElementById(id);

// ---- small tools

// element makes an HTML element; text is never read as markup.
function element(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function svg(name, attributes, text) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

const clock = (at) => (at ? new Date(at).toLocaleTimeString([], { hour12: false }) : "–");
const count = (n) => n.toLocaleString("en");
const word = (w) => (w || "").toLowerCase().replaceAll("_", " ");

// span is a duration for people: 0.8 s, 12 s, 3:05, 1:02:03.
function span(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 10_000) return (ms / 1000).toFixed(1) + " s";
  const s = Math.round(ms / 1000);
  if (s < 60) return s + " s";
  const two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(s / 3600);
  return (h ? h + ":" + two(Math.floor(s / 60) % 60) : Math.floor(s / 60)) + ":" + two(s % 60);
}

const rate = (n) => (n >= 100 ? count(Math.round(n)) : n.toFixed(1)) + "/s";
const cut = (text, n) => (text.length > n ? text.slice(0, n - 1) + "…" : text);

// ---- topology

// Each place is x, y, width, height. The narrow form runs from top to bottom.
const wide = {
  size: [1180, 320], across: true,
  source: [4, 96, 190, 62], decode: [270, 96, 128, 62], exchange: [478, 96, 196, 62], stitch: [754, 96, 128, 62],
  changelog: [720, 226, 196, 56], sinks: (i, n) => [974, 4 + (i * 316) / n, 202, 316 / n - 10],
};
const narrow = {
  size: [366, 640], across: false,
  source: [8, 4, 210, 56], decode: [8, 96, 210, 56], exchange: [8, 188, 210, 56], stitch: [8, 280, 210, 56],
  changelog: [256, 280, 106, 56], sinks: (i, n) => [64, 366 + (i * 270) / n, 298, 270 / n - 10],
};

function box(g, [x, y, w, h], name, small, kind) {
  const b = svg("g", { class: kind || "topic" });
  b.append(svg("rect", { class: "box", x, y, width: w, height: h, rx: 8 }));
  b.append(svg("text", { class: "name", x: x + 12, y: y + h / 2 - (small ? 3 : -5) }, cut(name, Math.floor(w / 7.6))));
  if (small) b.append(svg("text", { class: "small", x: x + 12, y: y + h / 2 + 14 }, cut(small, Math.floor(w / 6.2))));
  if (name.length > Math.floor(w / 7.6)) b.append(svg("title", {}, name));
  g.append(b);
}

function edge(g, d, busy, label, at, anchor) {
  g.append(svg("path", { d, class: busy ? "busy" : "", "marker-end": "url(#arrow)" }));
  if (label) g.append(svg("text", { class: "rate", x: at[0], y: at[1], "text-anchor": anchor || "middle" }, label));
}

// between leads from one place to the next in the direction of the flow.
function between(g, form, a, b, n) {
  const [ax, ay, aw, ah] = a, [bx, by] = b;
  if (form.across) {
    const y = ay + ah / 2;
    edge(g, `M${ax + aw} ${y}H${bx - 7}`, n > 0, rate(n), [(ax + aw + bx) / 2, y - 9]);
  } else {
    const x = ax + aw / 2;
    edge(g, `M${x} ${ay + ah}V${by - 7}`, n > 0, rate(n), [x + 10, (ay + ah + by) / 2 + 4], "start");
  }
}

function toSink(g, form, from, to, busy) {
  const [fx, fy, fw, fh] = from, [tx, ty, , th] = to;
  const y = ty + th / 2;
  if (form.across) {
    const x = fx + fw, y0 = fy + fh / 2, m = (x + tx) / 2;
    edge(g, `M${x} ${y0}C${m} ${y0} ${m} ${y} ${tx - 7} ${y}`, busy);
  } else {
    edge(g, `M${fx + 26} ${fy + fh}V${y - 8}Q${fx + 26} ${y} ${fx + 34} ${y}H${tx - 7}`, busy);
  }
}

function drawTopology(s) {
  const form = innerWidth < 720 ? narrow : wide;
  const root = $("topology");
  root.setAttribute("viewBox", `0 0 ${form.size[0]} ${form.size[1]}`);
  const g = svg("g", {});
  const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 1, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
  arrow.append(svg("path", { d: "M0 0L8 4L0 8z" }));
  g.append(arrow);
  const partitions = s.sources.reduce((n, t) => n + t.partitions, 0);
  const name = s.sources.length === 1 ? s.sources[0].topic : s.sources.length + " sources";
  between(g, form, form.source, form.decode, s.source_rate);
  between(g, form, form.decode, form.exchange, s.exchange_rate);
  between(g, form, form.exchange, form.stitch, s.exchange_rate);
  inMemory(g, form, s.memory_rate);
  loop(g, form);
  toChangelog(g, form);
  if (form.across) fromDecode(g, form, s.sinks);
  s.sinks.forEach((sink, i) => toSink(g, form, form.stitch, form.sinks(i, s.sinks.length), sink.rate > 0));
  box(g, form.source, name, `${count(partitions)} partitions here`);
  box(g, form.decode, "decode", `${s.decode_tasks} tasks`, "task");
  box(g, form.exchange, "exchange", `${s.exchange_partitions} partitions, lag ${count(s.exchange_lag)}`);
  box(g, form.stitch, "stitch", `${s.stitch_tasks} tasks`, "task");
  box(g, form.changelog, "changelog", form.across ? `state of ${count(s.open_nodes)} nodes` : `${count(s.open_nodes)} nodes`);
  s.sinks.forEach((sink, i) => box(g, form.sinks(i, s.sinks.length), sink.topic, `${rate(sink.rate)} · ${count(sink.total)} in all`));
  root.replaceChildren(g);
}

// inMemory is the way of events between tasks of one worker, past the exchange.
function inMemory(g, form, n) {
  const [dx, dy, dw, dh] = form.decode, [sx, sy, , sh] = form.stitch;
  if (form.across) {
    const x = dx + dw, m = (x + sx) / 2, y = dy + dh + 18;
    edge(g, `M${x} ${dy + dh - 12}Q${x + 24} ${y} ${x + 60} ${y}H${sx - 60}Q${sx - 24} ${y} ${sx - 7} ${sy + sh - 10}`, n > 0, `${rate(n)} in memory`, [m, y + 16]);
  } else {
    const x = dx + dw, out = x + 30, y = dy + dh / 2;
    edge(g, `M${x} ${y}H${out - 6}Q${out} ${y} ${out} ${y + 6}V${sy}Q${out} ${sy + 6} ${out - 6} ${sy + 6}H${x + 7}`, n > 0, `${rate(n)} in memory`, [out + 8, (dy + dh + sy) / 2 - 40], "start");
  }
}

// loop is the way of messages from stitch tasks to nodes of other tasks.
function loop(g, form) {
  const [ex, ey, ew, eh] = form.exchange, [sx, sy, sw, sh] = form.stitch;
  if (form.across) {
    edge(g, `M${sx + sw / 2} ${sy}V${sy - 34}H${ex + ew / 2}V${ey - 7}`, false);
    g.append(svg("text", { class: "small", x: (sx + sw / 2 + ex + ew / 2) / 2, y: sy - 42, "text-anchor": "middle" }, "messages between nodes"));
  } else {
    edge(g, `M${sx + sw} ${sy + 14}H${sx + sw + 18}V${ey + eh / 2}H${ex + ew + 7}`, false);
  }
}

// fromDecode is the way of records that cannot be decoded to the last sink.
function fromDecode(g, form, sinks) {
  const [dx, dy, dw, dh] = form.decode, [rx, ry, , rh] = form.sinks(sinks.length - 1, sinks.length);
  const x = dx + dw / 2, y = 308, end = ry + rh - 14;
  edge(g, `M${x} ${dy + dh}V${y - 10}Q${x} ${y} ${x + 10} ${y}H${rx - 30}Q${rx - 22} ${y} ${rx - 22} ${y - 8}V${end + 6}Q${rx - 22} ${end} ${rx - 14} ${end}H${rx - 7}`, sinks.at(-1).rate > 0);
}

function toChangelog(g, form) {
  const [sx, sy, sw, sh] = form.stitch, [cx, cy, cw] = form.changelog;
  const d = form.across ? `M${sx + sw / 2} ${sy + sh}V${cy - 7}` : `M${sx + sw} ${sy + sh / 2 + 8}H${cx - 7}`;
  edge(g, d, false);
}

// ---- facts

function drawHistory(values) {
  const top = Math.max(1, ...values);
  const points = values.map((v, i) => `${60 - values.length + i + 1} ${(23 - (22 * v) / top).toFixed(1)}`);
  const line = points.length ? `M${60 - values.length + 1} 24L${points.join("L")}L60 24` : "";
  $("history").replaceChildren(svg("path", { d: line }));
}

function behind(at, now) {
  return at ? span(Math.max(0, now - at)) : "–";
}

// sum writes an equation of the books; what is not counted yet is under way.
function sum(target, total, noun, parts) {
  target.replaceChildren(element("b", "", count(total)), ` ${noun} = `);
  let rest = total;
  parts.forEach(([n, name, bad], i) => {
    rest -= n;
    if (i) target.append(" + ");
    target.append(element("b", bad && n > 0 ? "bad" : "", count(n)), ` ${name}`);
  });
  if (rest > 0) target.append(" + ", element("b", "", count(rest)), " under way");
}

function drawFacts(s) {
  $("leg-clock").textContent = behind(s.leg_clock, s.now);
  $("session-clock").textContent = behind(s.session_clock, s.now);
  $("held-by").textContent = s.held_by ? "held by " + s.held_by : "behind now";
  $("closed").textContent = count(s.sessions_closed);
  $("open").textContent = count(s.open_nodes) + " nodes held";
  drawHistory(s.read_history);
  const t = s.totals;
  sum($("records"), t.read, "records", [[t.decoded, "decoded"], [t.ignored, "ignored"], [t.rejected, "rejected", true]]);
  sum($("events"), t.events, "events", [[t.accepted, "accepted"], [t.duplicate, "duplicate"], [t.conflicting, "conflicting", true], [t.late, "late", true]]);
}

function drawHeader(s) {
  $("application").textContent = s.application === "callstitch" ? "" : s.application;
  $("uptime").textContent = `${s.version}, up ${span(s.up_seconds * 1000)}`;
  $("state").textContent = s.ready ? "ready" : s.phase || "not ready";
  $("state").className = s.ready ? "pill ready" : "pill";
  $("note").hidden = !s.note;
  $("note").textContent = s.note;
  $("reasons").hidden = s.reasons.length === 0;
  $("reasons").textContent = s.reasons.join("; ");
}

// ---- sessions

function row(s) {
  const tr = element("tr");
  tr.tabIndex = 0;
  const cell = (className, text) => tr.append(element("td", className, text));
  cell("started", clock(s.started_at));
  cell("provider", s.provider);
  cell("parties", `${s.from || "unknown"} → ${s.to || "unknown"}`);
  cell("outcome " + s.disposition, word(s.disposition));
  cell("n ring", span(s.ring_ms));
  cell("n talk", span(s.talk_ms));
  cell("n legs", String(s.leg_count));
  const record = element("td", "record", word(s.state) + " " + s.revision);
  if (s.flags.length) {
    const flags = element("span", "flags", " ⚑");
    flags.title = s.flags.map(word).join(", ");
    record.append(flags);
  }
  tr.append(record);
  tr.addEventListener("click", () => open(s.id));
  tr.addEventListener("keydown", (e) => { if (e.key === "Enter") open(s.id); });
  tr.dataset.id = s.id;
  return tr;
}

function drawSessions(list) {
  const focused = document.activeElement?.dataset?.id;
  $("sessions").replaceChildren(...list.map(row));
  $("none").hidden = list.length > 0;
  if (focused) document.querySelector(`tr[data-id="${focused}"]`)?.focus({ preventScroll: true });
}

// ---- one session

async function open(id) {
  const answer = await fetch("api/v1/sessions/" + id);
  const s = await answer.json();
  if (!answer.ok) return;
  $("detail-title").textContent = `${s.from || "unknown"} → ${s.to || "unknown"}`;
  $("detail-summary").replaceChildren(
    element("span", "outcome " + s.disposition, word(s.disposition)),
    `, ${s.provider}, ${word(s.direction)}, tenant ${s.tenant}, ${word(s.state)} revision ${s.revision}`);
  drawLegs(s);
  facts(s);
  $("detail-moments").replaceChildren(...s.timeline.map((m) => {
    const li = element("li");
    li.append(element("span", "", clock(m.at)), element("span", "", word(m.type)), element("span", "quiet", legName(s, m.leg)));
    return li;
  }));
  history.replaceState(null, "", "#" + id);
  if (!$("detail").open) $("detail").showModal();
}

function legName(s, id) {
  const i = s.legs.findIndex((l) => l.id === id);
  return i < 0 ? "" : `leg ${i + 1} ${word(s.legs[i].role)}`;
}

function facts(s) {
  const entries = [
    ["Started", clock(s.started_at)], ["Answered", clock(s.answered_at)], ["Ended", clock(s.ended_at)],
    ["Ring", span(s.ring_ms)], ["Talk", span(s.talk_ms)], ["Total", span(s.total_ms)],
    ["Answered by", word(s.answered_by)], ["Ended by", word(s.hangup_party)], ["Cause", word(s.hangup_cause)],
    ["Closed", word(s.close_reason)], ["Transfers", s.transfer_count], ["Recordings", s.recordings],
    ["Events", `${s.event_count}, and ${s.duplicate_count} duplicates`], ["Flags", s.flags.map(word).join(", ")],
    ["Session id", s.id],
  ];
  $("detail-facts").replaceChildren(...entries.filter(([, v]) => v !== "" && v !== 0).flatMap(([k, v]) => {
    const pair = element("div");
    pair.append(element("dt", "", k), element("dd", "", String(v)));
    return pair;
  }));
}

// drawLegs draws a bar for each leg: pale while it rings, full while it is
// connected, with a dot for each event.
function drawLegs(s) {
  const instants = s.legs.flatMap((l) => [l.started_at, l.answered_at, l.ended_at]).concat(s.timeline.map((m) => m.at)).filter(Boolean);
  const root = $("detail-legs");
  if (!instants.length) return root.replaceChildren();
  const [first, last] = [Math.min(...instants), Math.max(...instants)];
  const width = innerWidth < 720 ? 360 : 800, label = innerWidth < 720 ? 112 : 220, height = 34 * s.legs.length + 26;
  const x = (at) => label + ((width - label - 8) * (at - first)) / Math.max(1, last - first);
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const g = svg("g", {});
  const marks = innerWidth < 720 ? 2 : 4;
  for (let i = 0; i <= marks; i++) {
    const at = first + ((last - first) * i) / marks;
    g.append(svg("line", { class: "axis", x1: x(at), x2: x(at), y1: 0, y2: height - 20 }));
    g.append(svg("text", { class: "small", x: x(at), y: height - 4, "text-anchor": i === marks ? "end" : i ? "middle" : "start" }, i ? "+" + span(at - first) : clock(first)));
  }
  s.legs.forEach((l, i) => drawLeg(g, s, l, i, x, last));
  root.replaceChildren(g);
}

function drawLeg(g, s, l, i, x, last) {
  const y = 34 * i + 6, end = l.ended_at || last;
  g.append(svg("text", { x: 0, y: y + 10 }, `${i + 1} ${word(l.role)}`));
  g.append(svg("text", { class: "small", x: 0, y: y + 23 }, l.to || word(l.disposition)));
  const bar = (from, to, kind) => g.append(svg("rect", { class: kind, x: x(from), y: y + 2, width: Math.max(2, x(to) - x(from)), height: 16, rx: 3 }));
  if (l.started_at) bar(l.started_at, l.answered_at || end, "ring");
  if (l.answered_at) bar(l.answered_at, end, "talk");
  for (const m of s.timeline.filter((m) => m.leg === l.id)) {
    const dot = svg("circle", { class: "moment", cx: x(m.at), cy: y + 10, r: 3.2 });
    dot.append(svg("title", {}, word(m.type) + " " + clock(m.at)));
    g.append(dot);
  }
}

$("close").addEventListener("click", () => $("detail").close());
$("detail").addEventListener("close", () => history.replaceState(null, "", location.pathname));
$("detail").addEventListener("click", (e) => { if (e.target === $("detail")) $("detail").close(); });

// ---- polling

async function poll() {
  try {
    const s = await (await fetch("api/v1/status")).json();
    drawHeader(s);
    drawTopology(s);
    drawFacts(s);
    drawSessions(s.sessions);
  } catch {
    $("state").textContent = "no answer";
    $("state").className = "pill lost";
  }
  setTimeout(poll, every);
}

poll();
if (location.hash) open(location.hash.slice(1));
