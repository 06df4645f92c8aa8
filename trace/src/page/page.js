"use strict";
(() => {
  const story = JSON.parse(document.getElementById("story").textContent);
  const [AT, KIND, FROM, TO, LABEL, ABOUT, NODE, LINE] = [0, 1, 2, 3, 4, 5, 6, 7];
  const TIME_WIDTH = 84;
  const HEIGHTS = [2, 4, 8, 15, 20, 28];
  const LABELLED = 15;
  const byId = (id) => document.getElementById(id);
  const [board, heads, scroll, length, rows, map, detail] =
    ["board", "heads", "scroll", "length", "rows", "map", "detail"].map(byId);
  const SVG = "http://www.w3.org/2000/svg";
  const beats = story.beats;
  const view = { zoom: 4, shown: [], chosen: -1, width: 0, lane: 0 };

  const el = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const height = () => HEIGHTS[view.zoom];
  const isHarm = (beat) => beat[KIND] === "fault" || beat[KIND] === "broken";
  const isForAll = (beat) => isHarm(beat) || beat[KIND] === "chapter";
  const middle = (lane) => TIME_WIDTH + view.lane * (lane + 0.5);

  const clock = (ms) => {
    const pad = (number, digits) => String(number).padStart(digits, "0");
    const seconds = Math.floor(ms / 1000);
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    return `${h > 0 ? h + ":" : ""}${pad(m, 2)}:${pad(s, 2)}.${pad(ms % 1000, 3)}`;
  };

  // What is shown: the rows that the filters let through, and all faults.
  const filter = () => {
    const subject = byId("subject").value.trim();
    const exactly = story.subjects.includes(subject);
    const wanted = new Set();
    story.subjects.forEach((name, place) => {
      if (exactly ? name === subject : name.includes(subject)) wanted.add(place);
    });
    const node = byId("node").value;
    const words = byId("words").value.trim().toLowerCase();
    const notices = byId("notices").checked;
    view.shown = [];
    beats.forEach((beat, place) => {
      if (beat[KIND] === "notice" && !notices) return;
      if (!isForAll(beat)) {
        if (subject && !beat[ABOUT].some((about) => wanted.has(about))) return;
        if (node !== "" && String(beat[NODE]) !== node) return;
        if (words && !beat[LABEL].toLowerCase().includes(words)) return;
      }
      view.shown.push(place);
    });
    lay();
    if (view.chosen >= 0) reveal(view.chosen);
  };

  const lay = () => {
    const lanes = Math.max(1, story.lanes.length);
    const room = board.clientWidth - TIME_WIDTH - 16;
    view.lane = Math.max(86, Math.min(260, room / lanes));
    view.width = TIME_WIDTH + view.lane * lanes + Math.max(0, room - view.lane * lanes);
    heads.style.width = scroll.style.width = `${view.width + 14}px`;
    heads.querySelectorAll(".head:not(.time)").forEach((head, lane) => {
      head.style.left = `${middle(lane) - view.lane / 2}px`;
      head.style.width = `${view.lane}px`;
    });
    length.style.height = `${Math.max(view.shown.length * height() + 8, 1)}px`;
    draw();
  };

  const draw = () => {
    const [top, seen] = [scroll.scrollTop, scroll.clientHeight];
    const first = Math.max(0, Math.floor(top / height()) - 5);
    const last = Math.min(view.shown.length, Math.ceil((top + seen) / height()) + 5);
    const tall = Math.max(0, last - first) * height();
    rows.setAttribute("width", view.width);
    rows.setAttribute("height", tall);
    rows.style.top = `${first * height()}px`;
    const parts = story.lanes.map((_, lane) =>
      el("line", { class: "lane", x1: middle(lane), x2: middle(lane), y1: 0, y2: tall }));
    let before = first > 0 ? beats[view.shown[first - 1]][AT] : -1;
    for (let place = first; place < last; place++) {
      const beat = beats[view.shown[place]];
      const timed = height() >= LABELLED ? beat[AT] !== before : place % Math.ceil(24 / height()) === 0;
      parts.push(row(beat, view.shown[place], (place - first) * height(), timed));
      before = beat[AT];
    }
    rows.replaceChildren(...parts);
    drawMap();
  };

  const row = (beat, place, y, timed) => {
    const h = height();
    const chosen = place === view.chosen ? " chosen" : "";
    const group = el("g", { class: `row ${beat[KIND]}${chosen}`, transform: `translate(0 ${y})` });
    group.dataset.place = place;
    group.append(el("rect", { class: "back", x: 0, y: 0, width: view.width, height: h }));
    const labelled = h >= LABELLED || isHarm(beat);
    if (timed) {
      group.append(el("text", { class: "time", x: 8, y: h / 2 }, clock(beat[AT])));
    }
    if (beat[KIND] === "broken") {
      group.append(el("rect", { class: "frame", x: 1, y: 0, width: view.width - 2, height: h }));
    }
    const told = beat[FROM] !== null && beat[TO] !== null && beat[FROM] !== beat[TO];
    if (told) arrow(group, beat, h, labelled);
    else if (beat[FROM] === null || beat[KIND] === "fault") across(group, beat, h, labelled);
    else note(group, beat, h, labelled);
    return group;
  };

  const cut = (text, room) => {
    const most = Math.max(3, Math.floor(room / 6.1));
    // Half of a character outside the basic plane is none.
    return text.length > most ? `${text.slice(0, most - 1).replace(/[\uD800-\uDBFF]$/, "")}…` : text;
  };

  const arrow = (group, beat, h, labelled) => {
    const [from, to] = [middle(beat[FROM]), middle(beat[TO])];
    const way = Math.sign(to - from);
    const y = labelled ? h - 4 : h / 2;
    group.append(el("line", { class: "arrow", x1: from, x2: to - way * 5, y1: y, y2: y }));
    const size = Math.min(4, h / 2);
    const tip = `${to},${y} ${to - way * 7},${y - size} ${to - way * 7},${y + size}`;
    group.append(el("polygon", { class: "tip", points: tip }));
    if (!labelled) return;
    // The words stand at the arrow's left end, and may go on to the right where nothing else stands.
    const x = Math.min(from, to) + 6;
    const room = view.width - x - 8;
    const text = { class: "label halo", x, y: y - 8 - (h > 20 ? 2 : 0) };
    group.append(el("text", text, cut(beat[LABEL], room)));
  };

  const note = (group, beat, h, labelled) => {
    const x = middle(beat[FROM]);
    group.append(el("circle", { class: "dot", cx: x, cy: h / 2, r: Math.min(3.5, h / 2) }));
    if (labelled) beside(group, beat, x, h);
  };

  // The words stand at the right, or, where there is more room, at the left.
  const beside = (group, beat, x, h) => {
    const room = view.width - x - 16;
    const left = room < 200 && x - TIME_WIDTH > room;
    const text = { class: "label halo", x: left ? x - 9 : x + 9, y: h / 2, "text-anchor": left ? "end" : "start" };
    group.append(el("text", text, cut(beat[LABEL], left ? x - TIME_WIDTH - 9 : room)));
  };

  const across = (group, beat, h, labelled) => {
    const at = beat[FROM] === null ? TIME_WIDTH : middle(beat[FROM]);
    if (beat[FROM] !== null) {
      group.append(el("circle", { class: "dot", cx: at, cy: h / 2, r: Math.min(4, h / 2) }));
    }
    if (labelled) beside(group, beat, at, h);
  };

  // The whole trace at a glance: how much is told, where harm was done, what can be seen.
  const drawMap = () => {
    const scale = window.devicePixelRatio || 1;
    const [w, h] = [map.clientWidth, map.clientHeight];
    map.width = w * scale;
    map.height = h * scale;
    const paint = map.getContext("2d");
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
    paint.scale(scale, scale);
    const count = Math.max(1, view.shown.length);
    const colors = { told: color("--told"), answered: color("--answered"), notice: color("--notice"),
      happened: color("--soft"), chapter: color("--chapter"), fault: color("--fault"), broken: color("--broken") };
    const lanes = Math.max(1, story.lanes.length);
    paint.globalAlpha = Math.max(0.12, Math.min(1, h / count));
    const thick = Math.max(0.7, Math.min(4, h / count));
    const wide = (lane) => 4 + ((w - 8) * (lane + 0.5)) / lanes;
    view.shown.forEach((which, place) => {
      const beat = beats[which];
      if (isForAll(beat) || beat[FROM] === null) return;
      const [from, to] = [wide(beat[FROM]), wide(beat[TO])];
      paint.fillStyle = colors[beat[KIND]];
      const y = (place / count) * h;
      paint.fillRect(Math.min(from, to), y, Math.max(1.5, Math.abs(to - from)), thick);
    });
    paint.globalAlpha = 1;
    view.shown.forEach((which, place) => {
      const kind = beats[which][KIND];
      if (kind !== "fault" && kind !== "broken") return;
      paint.fillStyle = colors[kind];
      paint.fillRect(0, (place / count) * h - 1, kind === "broken" ? w : 9, kind === "broken" ? 4 : 2);
    });
    const whole = view.shown.length * height() + 8;
    paint.strokeStyle = color("--ink");
    paint.lineWidth = 1.5;
    const tall = Math.max(6, Math.min(1, scroll.clientHeight / whole) * h);
    paint.strokeRect(1, Math.min(h - tall, (scroll.scrollTop / whole) * h) + 0.5, w - 2, tall - 1);
  };

  const reveal = (place) => {
    const shown = view.shown.indexOf(place);
    if (shown < 0) return;
    const y = shown * height();
    if (y < scroll.scrollTop + 20 || y > scroll.scrollTop + scroll.clientHeight - height() - 20) {
      scroll.scrollTop = y - scroll.clientHeight / 2;
    }
    draw();
  };

  const choose = (place) => {
    view.chosen = place;
    tell();
    reveal(place);
  };

  const tell = () => {
    const line = (name, text) => {
      const paragraph = document.createElement("p");
      paragraph.className = name;
      paragraph.textContent = text;
      return paragraph;
    };
    const beat = beats[view.chosen];
    if (!beat) {
      detail.replaceChildren(line("hint",
        `${view.shown.length} of ${beats.length} rows. Click a row, or move with ↑ ↓ (Page, Home, End); ` +
        "Enter follows what it is about, Esc shows all, / finds words, n and p go to faults, o to the " +
        "offending moment, + and − change the size."));
      return;
    }
    const name = (lane) => (lane === null ? "everybody" : story.lanes[lane].name);
    const way = beat[FROM] === beat[TO] ? name(beat[FROM]) : `${name(beat[FROM])} → ${name(beat[TO])}`;
    const place = beat[LINE] > 0 ? `, line ${beat[LINE]} of the trace` : "";
    const follow = beat[ABOUT].map((about) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = story.subjects[about];
      button.onclick = () => { byId("subject").value = story.subjects[about]; filter(); tell(); };
      return button;
    });
    detail.replaceChildren(line("where", `${clock(beat[AT])}, ${way}${place}`), line("what", beat[LABEL]), ...follow);
  };

  const move = (by) => {
    const now = view.shown.indexOf(view.chosen);
    const from = now >= 0 ? now : Math.floor(scroll.scrollTop / height()) - Math.sign(by);
    const to = Math.max(0, Math.min(view.shown.length - 1, from + by));
    if (view.shown.length > 0) choose(view.shown[to]);
  };
  const seek = (way, isWanted) => {
    const now = view.shown.indexOf(view.chosen);
    for (let place = (now < 0 && way < 0 ? view.shown.length : now) + way; view.shown[place] !== undefined; place += way) {
      if (isWanted(beats[view.shown[place]])) return choose(view.shown[place]);
    }
  };
  const harm = (way) => seek(way, isHarm);
  const offence = () => {
    const place = beats.findIndex((beat) => beat[KIND] === "broken");
    if (place >= 0) choose(place);
  };
  const zoom = (by) => {
    const seen = scroll.scrollTop / height();
    view.zoom = Math.max(0, Math.min(HEIGHTS.length - 1, view.zoom + by));
    byId("smaller").disabled = view.zoom === 0;
    byId("larger").disabled = view.zoom === HEIGHTS.length - 1;
    length.style.height = `${view.shown.length * height() + 8}px`;
    scroll.scrollTop = seen * height();
    if (view.chosen >= 0) reveal(view.chosen);
    draw();
  };
  const showAll = () => {
    for (const id of ["subject", "node", "words"]) byId(id).value = "";
    byId("notices").checked = true;
    filter();
    tell();
  };
  const theme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    drawMap();
  };

  const page = () => Math.max(1, Math.floor(scroll.clientHeight / height()) - 1);
  const KEYS = {
    ArrowDown: () => move(1), j: () => move(1), ArrowUp: () => move(-1), k: () => move(-1),
    PageDown: () => move(page()), PageUp: () => move(-page()),
    Home: () => move(-beats.length), End: () => move(beats.length),
    Enter: () => { const follow = detail.querySelector("button"); if (follow) follow.click(); },
    Escape: showAll, "/": () => byId("words").focus(), n: () => harm(1), p: () => harm(-1), o: offence,
    "+": () => zoom(1), "=": () => zoom(1), "-": () => zoom(-1), t: theme,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target instanceof Element ? event.target : document.body;
    const typing = on.matches("input:not([type=checkbox]), select");
    if (typing && event.key === "Escape") { on.value = ""; filter(); scroll.focus(); return; }
    if (typing || (on.matches("button, input") && (event.key === "Enter" || event.key === " "))) return;
    if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
  });
  scroll.addEventListener("scroll", draw, { passive: true });
  rows.addEventListener("click", (event) => {
    const group = event.target.closest(".row");
    if (group) choose(Number(group.dataset.place));
  });
  map.addEventListener("click", (event) => {
    const share = event.offsetY / map.clientHeight;
    scroll.scrollTop = share * view.shown.length * height() - scroll.clientHeight / 2;
  });
  const on = (id, what, run) => byId(id).addEventListener(what, run);
  for (const id of ["subject", "node", "words", "notices"]) on(id, "input", () => { filter(); tell(); });
  on("clear", "click", showAll);
  on("harm-before", "click", () => harm(-1));
  on("harm-after", "click", () => harm(1));
  on("offence", "click", offence);
  on("smaller", "click", () => zoom(-1));
  on("larger", "click", () => zoom(1));
  on("theme", "click", theme);
  window.addEventListener("resize", lay);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);

  byId("name").textContent = story.name;
  byId("note").textContent = story.note;
  for (const lane of story.lanes) {
    const head = document.createElement("div");
    head.className = `head ${lane.kind}`;
    head.title = lane.name;
    const name = document.createElement("span");
    name.textContent = lane.name;
    head.append(name);
    heads.append(head);
  }
  for (const name of story.subjects) {
    const option = document.createElement("option");
    option.value = name;
    byId("subjects").append(option);
  }
  for (const node of [...new Set(beats.map((beat) => beat[NODE]))].filter((it) => it !== null).sort((a, b) => a - b)) {
    const option = document.createElement("option");
    option.value = option.textContent = String(node);
    byId("node").append(option);
  }
  byId("harm-before").disabled = byId("harm-after").disabled = !beats.some(isHarm);
  byId("offence").disabled = !beats.some((beat) => beat[KIND] === "broken");
  filter();
  offence();
  tell();
  scroll.focus();
})();
