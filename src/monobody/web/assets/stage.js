"use strict";
// The stage: people before a photo or on a turntable, seen, lit and named; it draws only when something has changed.

class Stage {
  constructor(head, state, elements) {
    Object.assign(this, { head, state, ...elements });
    this.people = [];
    this.scene = new THREE.Scene();
    this.lamp = new THREE.DirectionalLight(0xffffff, 1.9);
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x8a8078, 1.9), this.lamp, this.lamp.target);
    this.renderer = this.makeRenderer();
    this.through = new THREE.PerspectiveCamera();
    this.around = new THREE.PerspectiveCamera(38, 1, 0.05, 500);
    this.orbit = new THREE.OrbitControls(this.around, this.canvas);
    Object.assign(this.orbit, { enableDamping: false, autoRotateSpeed: -2.5, minDistance: 0.3, maxDistance: 100 });
    this.stale = true;
    this.pointed = null;
    this.orbit.addEventListener("change", () => this.again());
    new ResizeObserver(() => { this.renderer?.setSize(...this.size(), false); this.again(); }).observe(this.frame);
    const point = event => {
      const box = this.frame.getBoundingClientRect();
      this.pointed = [event.clientX - box.left, event.clientY - box.top];
      this.again();
    };
    this.frame.addEventListener("pointermove", point);
    this.frame.addEventListener("pointerdown", point);
    this.frame.addEventListener("pointerleave", () => { this.pointed = null; this.again(); });
  }

  makeRenderer() {
    try {
      const made = new THREE.WebGLRenderer({ canvas: this.canvas, alpha: true, antialias: true });
      made.setPixelRatio(Math.min(devicePixelRatio, 2));
      return made;
    } catch {
      this.hint.textContent = "This browser shows no 3D (WebGL is off). The files can still be downloaded.";
      return null;
    }
  }

  /** Put people on the stage and the viewer before them. */
  welcome(people) {
    this.people = people;
    const { centre, reach, floor } = roomOf(people), size = 2 * Math.ceil(reach + 2);
    this.around.position.copy(centre).add(new THREE.Vector3(0.25, 0.12, 1).multiplyScalar(reach * 2.5));
    this.orbit.target.copy(centre);
    this.orbit.update();
    this.grid = new THREE.GridHelper(size, 2 * size, 0x8a9099, 0x8a9099);
    Object.assign(this.grid.material, { transparent: true, opacity: 0.35 });
    this.grid.position.set(Math.round(centre.x), floor, Math.round(centre.z));
    this.scene.add(this.grid);
  }

  size() { return [this.frame.clientWidth, Math.max(1, this.frame.clientHeight)]; }

  again() { this.stale = true; }

  /** The photo's own pinhole, widened to the whole stage, in whose middle the photo lies. */
  throughPhoto() {
    const { width, height, focal, principal, stands } = this.head.camera, [wide, high] = this.size();
    const scale = Math.min(wide / width, high / height), near = 0.05, far = 1000, side = near / focal;
    const left = (wide / scale - width) / -2 - principal[0], top = (high / scale - height) / -2 - principal[1];
    const eye = this.through;
    eye.projectionMatrix.makePerspective(
      left * side, (left + wide / scale) * side, -top * side, -(top + high / scale) * side, near, far);
    eye.projectionMatrixInverse.copy(eye.projectionMatrix).invert();
    eye.matrixAutoUpdate = false;
    eye.matrix.fromArray(stands);
    eye.matrixWorldNeedsUpdate = true;
    eye.updateMatrixWorld(true);
    return eye;
  }

  camera() {
    if (this.state.view === "photo" && this.head.camera) return this.throughPhoto();
    const eye = this.around, [wide, high] = this.size();
    eye.aspect = wide / high;
    eye.fov = eye.aspect < 1 ? 38 / eye.aspect ** 0.6 : 38;
    eye.updateProjectionMatrix();
    eye.updateMatrixWorld(true);
    return eye;
  }

  /** Draw, if something has changed or the turntable turns. */
  tick(passed) {
    this.orbit.enabled = this.state.view === "turntable";
    this.orbit.autoRotate = this.state.turning && this.orbit.enabled;
    if (this.orbit.autoRotate) { this.orbit.update(passed); this.again(); }
    if (this.stale) this.draw();
  }

  draw() {
    this.stale = false;
    for (const person of this.people) {
      const own = this.frameOf(person);
      person.figures.forEach((figure, rank) => figure.show(person.chosen[rank] ? own : -1, this.state));
    }
    const eye = this.camera(), side = new THREE.Vector3(-1, 1.4, 0.6).transformDirection(eye.matrixWorld);
    this.grid.visible = this.state.view === "turntable";
    // The lamp stands over the viewer's left shoulder, wherever the viewer is.
    this.lamp.position.setFromMatrixPosition(eye.matrixWorld).add(side);
    this.lamp.target.position.set(0, 0, -1).applyMatrix4(eye.matrixWorld);
    this.renderer?.render(this.scene, eye);
    this.label(eye);
  }

  /** Return which of a person's own frames is shown; -1 where there is none, or the person is off. */
  frameOf(person) { return person.on ? person.places[this.state.frame] : -1; }

  /** Return a figure's joints on the stage, in CSS pixels; null behind the viewer. */
  jointsOf(figure, eye) {
    const seen = new THREE.Vector3(), [wide, high] = this.size();
    return figure.joints.names.map((_, j) => {
      seen.fromArray(figure.points, 3 * j).applyMatrix4(eye.matrixWorldInverse);
      if (!(seen.z < 0)) return null;
      seen.applyMatrix4(eye.projectionMatrix);
      return [(seen.x + 1) / 2 * wide, (1 - seen.y) / 2 * high];
    });
  }

  /** Name the joints of everybody's first answer, or the one that is pointed at. */
  label(eye) {
    const texts = [], all = this.state.names;
    for (const person of this.people) {
      if (this.frameOf(person) < 0 || !(all || this.pointed)) continue;
      const shown = person.figures.filter((_, rank) => person.chosen[rank]);
      for (const figure of all ? shown.slice(0, 1) : shown) {
        this.jointsOf(figure, eye).forEach((place, j) => {
          if (!place) return;
          const near = this.pointed ? Math.hypot(place[0] - this.pointed[0], place[1] - this.pointed[1]) : 0;
          if (all || near < 18) texts.push({ place, near, name: figure.joints.names[j].replaceAll("_", " ") });
        });
      }
    }
    const kept = all ? texts : texts.sort((a, b) => a.near - b.near).slice(0, 1);
    while (this.labels.children.length < kept.length) this.labels.append(document.createElement("span"));
    [...this.labels.children].forEach((each, i) => {
      each.hidden = i >= kept.length;
      if (each.hidden) return;
      each.textContent = kept[i].name;
      each.style.transform = `translate(${kept[i].place[0]}px, ${kept[i].place[1]}px) translate(6px, -50%)`;
    });
  }
}

/** Return the middle of everybody's paths, how far from it they come, and the floor. */
function roomOf(people) {
  const low = new THREE.Vector3(Infinity, Infinity, Infinity), high = low.clone().negate(), point = new THREE.Vector3();
  for (const { figures } of people) {
    const figure = figures[0], points = figure.isBody ? figure.places : figure.all;
    for (let i = 0; i < points.length; i += 3) {
      point.fromArray(points, i);
      if (Number.isFinite(point.x)) { low.min(point); high.max(point); }
    }
    low.y = Math.min(low.y, high.y - (figure.isBody ? 0.95 : 0.1));
  }
  if (low.x > high.x) { low.set(-1, -1, -1); high.set(1, 1, 1); }
  high.y += 0.75;
  return {
    centre: low.clone().add(high).multiplyScalar(0.5), reach: Math.max(1, high.distanceTo(low) / 2), floor: low.y,
  };
}
