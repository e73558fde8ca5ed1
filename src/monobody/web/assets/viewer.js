"use strict";
// The viewer: plays a motion over its photo or on a turntable. Data lies in elements of the page.

async function startViewer() {
  const $ = id => document.getElementById(id);
  const head = JSON.parse($("head").textContent);
  const read = readerOf(await unpack($("block").textContent));
  const times = read(head.times), count = times.length;
  const rate = count > 1 ? [...times].slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b)[(count - 1) >> 1] : 1;
  const length = times[count - 1] + rate;
  const photo = $("photo"), moving = photo && photo.tagName === "VIDEO";
  const state = { frame: 0, clock: 0, playing: false, view: photo && head.camera ? "photo" : "turntable", turning: false,
    body: true, bones: false, names: false, opacity: 0.92 };

  const stage = new Stage(head, state,
    { frame: $("stage"), canvas: $("canvas"), labels: $("labels"), hint: $("hint") });
  const again = () => stage.again();
  const mesh = head.mesh && new SharedMesh(head.mesh, read);
  const people = head.people.map(person => {
    const places = new Int32Array(count).fill(-1);
    read(person.frames).forEach((frame, own) => { places[frame] = own; });
    const shared = { read, joints: head.joints, mesh, scene: stage.scene };
    const figures = person.takes.map((take, rank) => new Figure(take, rank, person.colour, shared));
    return { ...person, places, seen: read(person.seen), figures, on: true, chosen: figures.map((_, rank) => rank === 0) };
  });
  stage.welcome(people);

  // ---- Time ----------------------------------------------------------------------------------------------------

  function seek(frame, { clip = true } = {}) {
    state.frame = Math.max(0, Math.min(count - 1, frame));
    if (clip) {
      state.clock = times[state.frame];
      if (moving) photo.currentTime = state.clock + Math.min(rate / 2, 0.02);
    }
    $("scrub").value = state.frame;
    $("time").textContent = `${times[state.frame].toFixed(2)} s · ${state.frame + 1}/${count}`;
    stateOfPeople(); again();
  }

  function frameAt(clock) {
    let low = 0, high = count - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (times[middle] <= clock + 1e-4) low = middle; else high = middle - 1; }
    return low;
  }

  function play(on) {
    state.playing = on && count > 1;
    if (moving) { if (state.playing) photo.play().catch(() => {}); else photo.pause(); }
    $("play").setAttribute("aria-pressed", state.playing);
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  }

  const told = moving && "requestVideoFrameCallback" in photo;
  function follow(_, { mediaTime }) {
    if (state.playing) state.clock = mediaTime;
    photo.requestVideoFrameCallback(follow);
  }
  if (told) photo.requestVideoFrameCallback(follow);

  let last = performance.now();
  function tick(now) {
    const passed = Math.min(0.25, (now - last) / 1000);
    last = now;
    if (state.playing) {
      // A clip leads where the browser tells which of its frames is seen; else a clock does.
      if (!moving) state.clock = (state.clock + passed) % length;
      else if (!told || state.view !== "photo") state.clock = photo.currentTime;
      const frame = frameAt(state.clock);
      if (frame !== state.frame) seek(frame, { clip: false });
    }
    stage.tick(passed);
    requestAnimationFrame(tick);
  }

  // ---- Switches --------------------------------------------------------------------------------------------------

  function set(name, value) {
    state[name] = value;
    document.body.dataset.view = state.view;
    $("opacity").value = state.opacity;
    for (const button of document.querySelectorAll("[data-switch]")) button.setAttribute("aria-pressed", state[button.dataset.switch]);
    for (const button of document.querySelectorAll("[data-view]:not(body)")) button.setAttribute("aria-pressed", state.view === button.dataset.view);
    $("canvas").style.touchAction = state.view === "turntable" ? "none" : "auto";
    again();
  }

  function make(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function listPeople() {
    people.forEach((person, place) => {
      const name = people.length > 1 || person.id ? `Person ${person.id}` : "Person";
      const box = make("input", { type: "checkbox", checked: true, onchange: () => { person.on = box.checked; stateOfPeople(); again(); } });
      const dot = make("i", { className: "dot" });
      dot.style.background = person.colour;
      person.box = box;
      person.told = make("small", {});
      const row = make("li", {}, make("label", {}, box, dot, name, person.told));
      if (person.figures.length > 1) {
        person.chips = person.figures.map((figure, rank) => {
          const chip = make("button", { type: "button", className: "chip", onclick: () => choose(person, rank) });
          return chip;
        });
        const all = make("button", { type: "button", className: "chip", textContent: "all",
          onclick: () => { const on = !person.chosen.every(Boolean); person.chosen = person.chosen.map((_, rank) => on || rank === 0); person.on = true; stateOfPeople(); again(); } });
        row.append(make("div", { className: "chips", ariaLabel: `Answers for ${name}` }, ...person.chips, all));
      }
      $("people").append(row);
    });
    if (!people.length) $("people").append(make("li", { textContent: "Nobody was found." }));
  }

  function choose(person, rank) {
    person.chosen[rank] = !person.chosen[rank];
    if (person.chosen.some(Boolean)) person.on = true;
    stateOfPeople(); again();
  }

  /** Show the next answer of everybody who has several, alone. */
  function nextAnswer() {
    for (const person of people) {
      const at = person.chosen.indexOf(true);
      person.chosen = person.chosen.map((_, rank) => rank === (at + 1) % person.chosen.length);
    }
    stateOfPeople(); again();
  }

  function stateOfPeople() {
    for (const person of people) {
      if (!person.box) continue;
      const own = person.places[state.frame];
      person.box.checked = person.on;
      person.told.textContent = own < 0 ? "not in this frame" : person.seen[own] ? "" : "bridged";
      person.chips?.forEach((chip, rank) => {
        const figure = person.figures[rank], weight = own < 0 ? 0 : figure.weights[own];
        chip.textContent = `${figure.isBody ? "" : "joints "}${rank + 1} · ${Math.round(100 * weight)} %`;
        chip.title = `${figure.isBody ? "A body" : "Joints alone"}; the model gives it ${(100 * weight).toFixed(1)} %`;
        chip.setAttribute("aria-pressed", person.on && person.chosen[rank]);
      });
    }
  }

  function listFiles() {
    for (const file of head.files ?? []) {
      const size = file.bytes < 1e6 ? `${Math.max(1, Math.round(file.bytes / 1e3))} KB` : `${(file.bytes / 1e6).toFixed(1)} MB`;
      const link = make("a", { href: file.href ?? "#", download: file.name }, file.name, make("small", { textContent: size }));
      if (!file.href) link.onclick = async event => {
        event.preventDefault();
        const address = URL.createObjectURL(new Blob([await unpack($(file.element).textContent)]));
        make("a", { href: address, download: file.name }).click();
        setTimeout(() => URL.revokeObjectURL(address), 60000);
      };
      $("files").append(make("li", {}, link));
    }
    $("files-part").hidden = !(head.files ?? []).length;
  }

  // ---- Buttons and keys --------------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("[data-switch]")) button.onclick = () => set(button.dataset.switch, !state[button.dataset.switch]);
  for (const button of document.querySelectorAll("[data-view]:not(body)")) {
    button.onclick = () => set("view", button.dataset.view);
    if (button.dataset.view !== "photo") continue;
    button.hidden = !(photo && head.camera);
    if (moving) button.textContent = "Clip";
  }
  $("play").onclick = () => play(!state.playing);
  $("scrub").max = count - 1;
  $("scrub").oninput = event => { play(false); seek(+event.target.value); };
  $("opacity").oninput = event => set("opacity", +event.target.value);
  $("bar").hidden = count < 2;
  const keys = {
    " ": () => play(!state.playing), ArrowLeft: () => { play(false); seek(state.frame - 1); },
    ArrowRight: () => { play(false); seek(state.frame + 1); }, Home: () => seek(0), End: () => seek(count - 1),
    v: () => { if (photo && head.camera) set("view", state.view === "photo" ? "turntable" : "photo"); },
    t: () => set("turning", !state.turning), b: () => set("body", !state.body), s: () => set("bones", !state.bones),
    n: () => set("names", !state.names), h: nextAnswer,
  };
  document.addEventListener("keydown", event => {
    const busy = event.target.closest?.("input, button, a, summary");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // A slider moves by arrows, and a button is pressed by the space bar, as everywhere.
    if (busy && (event.key === " " || (event.key.startsWith("Arrow") && busy.type === "range"))) return;
    if (count < 2 && [" ", "ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    const person = people[+event.key - 1];
    if (person) { person.on = !person.on; stateOfPeople(); again(); }
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  });

  listPeople(); listFiles();
  $("about").textContent = [`Made by ${head.model}; terms: ${head.terms}.`, ...head.notes].join(" ");
  if (photo && !moving) photo.alt = head.name;
  seek(0); set("view", state.view);
  set("turning", state.view === "turntable" && count < 2 && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  if (state.view === "turntable" && count > 1) play(true);
  requestAnimationFrame(tick);
  // For programs that hold this page.
  window.monobody = {
    state, people, seek, set, play,
    joints: (place, rank) => { stage.draw(); return stage.jointsOf(people[place].figures[rank], stage.camera()); },
    vertices: (place, rank, which) => {
      stage.draw();
      const body = people[place].figures[rank].body;
      body.skeleton.update();
      return which.map(v => body.getVertexPosition(v, new THREE.Vector3()).toArray());
    },
  };
  document.body.dataset.ready = "yes";
}

startViewer().catch(error => { document.getElementById("hint").textContent = `The page cannot show this: ${error.message}`; throw error; });
