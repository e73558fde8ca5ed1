"use strict";
// Bodies and stick figures as three.js draws them, from the numbers that `viewer_data.py` writes.

/** Return the bytes of what `packed` of viewer_block.py made. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** Return a function from an array's description to its values. */
function readerOf(buffer) {
  const kinds = { float32: Float32Array, uint32: Uint32Array, int32: Int32Array, uint16: Uint16Array, int16: Int16Array,
    uint8: Uint8Array, int8: Int8Array };
  return described => {
    const count = described.shape.reduce((product, size) => product * size, 1);
    const stored = new kinds[described.type](buffer, described.at, count);
    if (described.scale === undefined) return stored;
    const { scale, shift } = described;
    return Float32Array.from(stored, (value, place) => value * scale + shift[place % shift.length]);
  };
}

/** What all bodies share: template, triangles, weights, shapes and correctives. */
class SharedMesh {
  constructor(described, read) {
    this.template = read(described.template);
    this.shapes = read(described.shapes);
    this.index = new THREE.BufferAttribute(read(described.faces), 1);
    this.skinIndex = new THREE.BufferAttribute(read(described.index), 4);
    this.skinWeight = new THREE.BufferAttribute(read(described.weight), 4, true);
    const fields = read(described.correctives), size = this.template.length;
    this.correctives = Array.from({ length: described.correctives.shape[0] },
      (_, k) => new THREE.BufferAttribute(fields.subarray(k * size, (k + 1) * size), 3));
  }

  /** Return the resting body that is so much of each shape; with its correctives inside where it has a single pose. */
  geometry(mix, parts) {
    const places = Float32Array.from(this.template), size = places.length, still = parts.length <= this.correctives.length;
    const add = (share, field) => { if (share) for (let i = 0; i < size; i++) places[i] += share * field[i]; };
    mix.forEach((share, k) => add(share, this.shapes.subarray(k * size, (k + 1) * size)));
    if (still) this.correctives.forEach((field, k) => add(parts[k], field.array));
    const made = new THREE.BufferGeometry();
    made.setIndex(this.index);
    made.setAttribute("position", new THREE.BufferAttribute(places, 3));
    made.setAttribute("skinIndex", this.skinIndex);
    made.setAttribute("skinWeight", this.skinWeight);
    if (!still) {
      made.morphAttributes.position = this.correctives;
      made.morphTargetsRelative = true;
    }
    made.computeVertexNormals();
    return made;
  }
}

/** Balls and rods between points in space. */
class Sticks {
  constructor(parents, colour, { through, radius = 0.011 }) {
    this.bones = parents.map((parent, joint) => [parent, joint]).filter(([parent]) => parent >= 0);
    const material = new THREE.MeshLambertMaterial({ color: colour, emissive: colour, emissiveIntensity: 0.25,
      depthTest: !through, transparent: true });
    this.balls = new THREE.InstancedMesh(new THREE.SphereGeometry(1.7 * radius, 14, 10), material, parents.length);
    this.rods = new THREE.InstancedMesh(new THREE.CylinderGeometry(radius, radius, 1, 10), material, this.bones.length);
    this.parts = [this.rods, this.balls];
    for (const part of this.parts) { part.frustumCulled = false; part.renderOrder = through ? 1000 : 0; }
  }

  pose(points) {
    const at = j => new THREE.Vector3().fromArray(points, 3 * j), up = new THREE.Vector3(0, 1, 0);
    const matrix = new THREE.Matrix4(), turn = new THREE.Quaternion(), size = new THREE.Vector3();
    const known = j => Number.isFinite(points[3 * j]);
    const hidden = new THREE.Matrix4().makeScale(0, 0, 0);
    for (let j = 0; j < this.balls.count; j++)
      this.balls.setMatrixAt(j, known(j) ? matrix.makeTranslation(at(j)) : hidden);
    this.bones.forEach(([parent, joint], place) => {
      if (!known(parent) || !known(joint)) { this.rods.setMatrixAt(place, hidden); return; }
      const from = at(parent), along = at(joint).sub(from), length = along.length();
      turn.setFromUnitVectors(up, along.clone().divideScalar(length || 1));
      this.rods.setMatrixAt(place, matrix.compose(from.addScaledVector(along, 0.5), turn, size.set(1, length, 1)));
    });
    for (const part of this.parts) part.instanceMatrix.needsUpdate = true;
  }
}

/** One answer for one person: a skinned body with its skeleton, or a stick figure where only joints are known. */
class Figure {
  constructor(take, rank, colour, { read, joints, mesh, scene }) {
    this.take = take; this.rank = rank; this.scene = scene; this.shared = mesh; this.frame = -1;
    this.joints = joints[take.set];
    this.weights = read(take.weight);
    this.isBody = take.kind === "mesh";
    // Other answers keep the person's hue and get paler.
    this.colour = new THREE.Color(colour).offsetHSL(0, -0.12 * Math.min(rank, 4), 0.05 * (rank % 3));
    if (this.isBody) {
      this.rest = read(take.rest); this.turns = read(take.turns); this.places = read(take.places);
      this.parts = read(take.correctives);
      this.points = new Float32Array(this.rest.length);
    } else this.all = read(take.points);
  }

  /** Make what is drawn; late, because most answers are never looked at. */
  build() {
    const dark = this.colour.clone().offsetHSL(0, 0.1, this.isBody ? -0.22 : 0);
    this.sticks = new Sticks(this.joints.parents, dark, { through: this.isBody });
    this.scene.add(...this.sticks.parts);
    if (!this.isBody) return;
    const material = new THREE.MeshLambertMaterial({ color: this.colour, transparent: true });
    this.body = new THREE.SkinnedMesh(this.shared.geometry(this.take.shape, this.parts), material);
    // Depth is drawn first, so that of a body one can see through only the skin in front is seen.
    this.depth = new THREE.SkinnedMesh(this.body.geometry, material.clone());
    this.depth.material.colorWrite = false;
    if (this.body.morphTargetInfluences) this.depth.morphTargetInfluences = this.body.morphTargetInfluences;
    // The bones' matrices are written whole in `pose`: from the resting body to the posed one.
    const bones = this.joints.parents.map(() => new THREE.Bone());
    const skeleton = new THREE.Skeleton(bones, bones.map(() => new THREE.Matrix4()));
    [this.depth, this.body].forEach((each, after) => {
      each.bind(skeleton, new THREE.Matrix4());
      each.frustumCulled = false;
      each.renderOrder = 2 * this.rank + after;
      this.scene.add(each);
    });
  }

  /** Show a frame of the person's own, or nothing where it is negative. */
  show(frame, { body, bones, opacity }) {
    const drawn = frame >= 0;
    if (drawn && !this.sticks) this.build();
    if (!this.sticks) return;
    const withSticks = drawn && (bones || !this.isBody);
    for (const part of this.sticks.parts) part.visible = withSticks;
    if (this.body) {
      this.body.visible = this.depth.visible = drawn && body;
      this.body.material.opacity = opacity * (this.rank ? 0.75 : 1);
    }
    if (drawn && frame !== this.frame) this.pose(frame);
  }

  pose(frame) {
    this.frame = frame;
    if (this.isBody) this.move(frame);
    else { const size = 3 * this.joints.names.length; this.points = this.all.subarray(frame * size, (frame + 1) * size); }
    this.sticks.pose(this.points);
  }

  /** Forward kinematics: each joint turns what hangs from it. */
  move(frame) {
    const parents = this.joints.parents, count = parents.length, turns = [];
    const rest = j => new THREE.Vector3().fromArray(this.rest, 3 * j);
    parents.forEach((parent, j) => {
      const turn = new THREE.Quaternion().fromArray(this.turns, 4 * (frame * count + j)).normalize();
      const place = new THREE.Vector3();
      if (parent < 0) place.fromArray(this.places, 3 * frame);
      else {
        place.copy(rest(j)).sub(rest(parent)).applyQuaternion(turns[parent]);
        place.add(new THREE.Vector3().fromArray(this.points, 3 * parent));
        turn.premultiply(turns[parent]);
      }
      turns.push(turn);
      place.toArray(this.points, 3 * j);
      const bone = this.body.skeleton.bones[j].matrixWorld.makeRotationFromQuaternion(turn);
      bone.setPosition(place.sub(rest(j).applyQuaternion(turn)));
    });
    const shares = this.body.morphTargetInfluences, most = this.shared.correctives.length;
    if (shares) for (let k = 0; k < most; k++) shares[k] = this.parts[frame * most + k];
  }
}
