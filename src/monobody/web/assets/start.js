"use strict";
// The start page: send a file, watch its job, show what it gave.

const $ = id => document.getElementById(id);
const size = bytes => bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
let limits = {}, job = null, sending = null, stem = null;

function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function fail(sentence) {
  $("work").hidden = true;
  $("failure").textContent = sentence;
  $("failure").hidden = false;
}

function begin() {
  for (const id of ["failure", "result"]) $(id).hidden = true;
  $("viewer").removeAttribute("src");
  $("work").hidden = false;
}

async function sentence(answer) {
  const said = await answer.json().catch(() => ({}));
  return typeof said.detail === "string" ? said.detail : `The server answered ${answer.status}.`;
}

/** Send a file; the browser tells of an upload's progress through the older interface alone. */
function send(file) {
  if (file.size > limits.upload_mb * 1e6) { fail(`${file.name} has ${size(file.size)}; at most ${limits.upload_mb} MB are taken.`); return; }
  begin();
  stem = file.name.replace(/\.[^.]*$/, "") || null;
  sending = new XMLHttpRequest();
  sending.open("POST", "/api/jobs");
  sending.responseType = "json";
  sending.setRequestHeader("Content-Type", "application/octet-stream");
  $("told").textContent = `Sending ${file.name} …`;
  sending.upload.onprogress = event => { if (event.lengthComputable) $("progress").value = event.loaded / event.total; };
  sending.onload = () => {
    if (sending.status === 202) watch(sending.response.id);
    else fail(sending.response?.detail ?? `The server answered ${sending.status}.`);
    sending = null;
  };
  sending.onerror = () => { sending = null; fail("The upload broke off: is the server still there?"); };
  sending.send(file);
}

async function take(name) {
  begin();
  stem = null;
  $("told").textContent = "Starting …";
  const answer = await fetch(`/api/examples/${name}`, { method: "POST" });
  if (answer.ok) watch((await answer.json()).id); else fail(await sentence(answer));
}

/** A clip that stands still on its first frame; some browsers show that only where a time is asked for. */
function firstFrame(url) {
  return make("video", { src: `${url}#t=0.001`, muted: true, loop: true, playsInline: true, preload: "auto", tabIndex: -1 });
}

function playWhilePointedAt(button, video) {
  button.onpointerenter = button.onfocus = () => video.play().catch(() => {});
  button.onpointerleave = button.onblur = () => video.pause();
}

async function watch(id) {
  job = id;
  history.replaceState(null, "", `#${id}`);
  while (job === id) {
    let answer;
    try { answer = await fetch(`/api/jobs/${id}`); } catch { fail("The server does not answer any more."); return; }
    if (job !== id) return;
    if (!answer.ok) { fail(await sentence(answer)); return; }
    const state = await answer.json();
    if (state.state === "failed") { fail(state.message); return; }
    if (state.state === "done") { show(state); return; }
    const before = state.waiting_before;
    $("told").textContent = state.state === "waiting" && before ? `Waiting: ${before} ${before === 1 ? "job" : "jobs"} before this one`
      : state.message ? `Working: ${state.message}` : "Starting …";
    if (state.progress > 0) $("progress").value = state.progress; else $("progress").removeAttribute("value");
    await new Promise(resolve => setTimeout(resolve, 400));
  }
}

function show(state) {
  $("work").hidden = true;
  $("found").textContent = `${state.people} ${state.people === 1 ? "person" : "people"} found`;
  const named = file => stem ? file.name.replace(/^(photo|clip)(?=[._])/, stem) : file.name;
  const rows = state.files.map(file => make("li", {}, make("a", { href: `${file.url}?download=true`, download: named(file) },
    file.name, make("small", { textContent: size(file.bytes) }))));
  $("files").replaceChildren(...rows);
  const by = name => state.files.find(file => file.name === name);
  $("viewer").src = by("viewer.html").url;
  const still = by("overlay.jpg"), film = by("overlay.mp4");
  $("overlay-title").textContent = `On the ${state.kind}`;
  $("overlay-title").hidden = !still && !film;
  $("overlay").replaceChildren(...(film ? [Object.assign(firstFrame(film.url), { controls: true, tabIndex: 0 })]
    : still ? [make("img", { src: still.url, alt: "What was found, drawn over the photo" })] : []));
  $("kept").textContent = `Otherwise they go after ${limits.keep_minutes} minutes.`;
  $("result").hidden = false;
}

async function remove() {
  const id = job;
  job = null;
  sending?.abort();
  if (id) await fetch(`/api/jobs/${id}`, { method: "DELETE" }).catch(() => {});
  history.replaceState(null, "", location.pathname);
  for (const each of ["work", "result"]) $(each).hidden = true;
  $("viewer").removeAttribute("src");
}

$("file").onchange = () => { if ($("file").files.length) send($("file").files[0]); $("file").value = ""; };
$("drop").onkeydown = event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); $("file").click(); } };
for (const kind of ["dragover", "dragenter"]) document.addEventListener(kind, event => { event.preventDefault(); $("drop").classList.add("over"); });
document.addEventListener("dragleave", event => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
document.addEventListener("drop", event => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) send(file);
});
document.addEventListener("paste", event => { const file = event.clipboardData?.files[0]; if (file) send(file); });
$("stop").onclick = $("remove").onclick = remove;

(async () => {
  limits = await (await fetch("/api/about")).json();
  $("limits").textContent = `up to ${limits.upload_mb} MB, photos up to ${limits.megapixels} megapixels, clips up to ${limits.clip_s} seconds`;
  $("about").textContent = `monobody ${limits.version}, model ${limits.model}. What you send stays on this server and is removed after ${limits.keep_minutes} minutes.`;
  for (const { name, about, kind, url } of limits.examples) {
    const shown = kind === "clip" ? firstFrame(url) : make("img", { src: url, alt: "" });
    const button = make("button", { type: "button", onclick: () => { shown.pause?.(); take(name); } }, shown, `Example: ${about}`);
    if (kind === "clip") playWhilePointedAt(button, shown);
    $("examples").append(button);
  }
  const id = location.hash.slice(1);
  if (/^[0-9a-f]{32}$/.test(id)) { begin(); watch(id); }
})();
