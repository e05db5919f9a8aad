/* The 3D skeleton: a perspective camera and a painter's algorithm on a plain 2D canvas, so it runs anywhere, GPU or not.
   Ground is X forward, Y up, Z to the right [m]. No library, no network. */
"use strict";
function bytesFrom(base64) {
  const text = atob(base64.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
function unpack(packed) {
  const bytes = bytesFrom(packed.f32 || packed.i16);
  return packed.f32 ? new Float32Array(bytes.buffer) : new Int16Array(bytes.buffer);
}
function createViewer(root, scene) {
  const stage = root.querySelector(".stage"), canvas = stage.querySelector("canvas"), ctx = canvas.getContext("2d");
  const times = unpack(scene.times), frames = times.length;
  const duration = times[frames - 1] || 0;

  // Points come as 16-bit grid values; a track gives one point of one frame as [x, y, z] or null where it is missing.
  const track = (packed) => {
    const grid = unpack(packed), n = packed.shape[1], o = packed.offset, s = packed.step;
    return { n, at: (frame, k) => {
      const i = 3 * (frame * n + k);
      return grid[i] === -32768 ? null : [grid[i] * s[0] + o[0], grid[i + 1] * s[1] + o[1], grid[i + 2] * s[2] + o[2]];
    } };
  };
  const nodes = track(scene.nodes), com = track(scene.com);
  const measured = scene.measured && track(scene.measured), model = scene.model && track(scene.model);
  const loads = (scene.loads || []).map((l) => ({ name: l.name, point: track(l.point), force: unpack(l.force) }));

  const show = { bones: true, measured: true, model: false, loads: true, com: true, follow: scene.follow };
  const camera = { azimuth: 0, elevation: 0.16, distance: 3.6, target: [0, 0.9, 0] };
  let frame = 0, clock = 0, playing = false, speed = 1, dirty = true, last = 0, width = 0, height = 0, scale = 1;
  const listeners = [];

  // --- small vector algebra
  const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const add = (a, b, k = 1) => [a[0] + k * b[0], a[1] + k * b[1], a[2] + k * b[2]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const norm = (a) => Math.hypot(a[0], a[1], a[2]);
  const unit = (a) => { const n = norm(a) || 1; return [a[0] / n, a[1] / n, a[2] / n]; };

  // --- extent of the whole path: how far the camera must stand back when it does not follow
  const low = [1e9, 1e9, 1e9], high = [-1e9, -1e9, -1e9];
  for (let f = 0; f < frames; f += Math.max(1, Math.floor(frames / 200)))
    for (let k = 0; k < nodes.n; k++) {
      const p = nodes.at(f, k);
      if (p) for (let a = 0; a < 3; a++) { low[a] = Math.min(low[a], p[a]); high[a] = Math.max(high[a], p[a]); }
    }
  const middle = [0, 1, 2].map((a) => (low[a] + high[a]) / 2);
  const tall = Math.max(0.5, high[1] - Math.min(0, low[1]));
  const span = Math.max(tall, high[0] - low[0], high[2] - low[2]);

  // --- colours follow the page, so that paper and the dark page look right
  let paint = {};
  function readColours() {
    const css = getComputedStyle(document.documentElement), get = (name) => css.getPropertyValue(name).trim();
    const triple = (name) => get(name).split(/\s+/).map(Number);
    paint = { ink: get("--ink"), soft: get("--soft"), sky: get("--sky"), floor: get("--floor"), grid: get("--line"),
      force: get("--force"), right: get("--right"), left: get("--left"), card: get("--card"),
      bone: { "": triple("--bone"), r: triple("--boner"), l: triple("--bonel") } };
  }
  const rgb = (c, k = 1, alpha = 1) => {
    const mix = (v) => Math.round(Math.max(0, Math.min(255, k <= 1 ? v * k : v + (255 - v) * (k - 1))));
    return `rgba(${mix(c[0])},${mix(c[1])},${mix(c[2])},${alpha})`;
  };

  // --- camera
  let eye, right, up, forward, focal;
  function aim() {
    const c = show.follow ? com.at(frame, 0) || middle : middle;
    camera.target = [c[0], tall * 0.48, c[2]];
    const { azimuth, elevation, distance } = camera;
    const away = [Math.cos(elevation) * Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation) * Math.sin(azimuth)];
    eye = add(camera.target, away, distance);
    forward = [-away[0], -away[1], -away[2]];
    right = unit(cross(forward, [0, 1, 0]));
    up = cross(right, forward);
    focal = 1.75 * Math.min(height, width * 1.15);
  }
  const NEAR = 0.15;
  function project(p) {
    const d = sub(p, eye), z = dot(d, forward);
    const s = focal / Math.max(z, NEAR);
    return { x: width / 2 + dot(d, right) * s, y: height / 2 - dot(d, up) * s, z, s };
  }

  // --- ground
  function ground() {
    const c = [camera.target[0], 0, camera.target[2]], radius = Math.max(2.4, span * 0.8 + 1), p = project(c);
    const steps = 48, disc = [];
    for (let i = 0; i < steps; i++) {
      const a = 2 * Math.PI * i / steps;
      disc.push(project([c[0] + radius * Math.cos(a), 0, c[2] + radius * Math.sin(a)]));
    }
    if (disc.every((q) => q.z > NEAR)) {
      // The disc seen from the side is an ellipse: its glow is squeezed with it, so that no edge shows.
      const xs = disc.map((q) => q.x), ys = disc.map((q) => q.y), wide = Math.max(...xs) - Math.min(...xs);
      const squeeze = Math.max(0.01, (Math.max(...ys) - Math.min(...ys)) / wide), centre = (Math.max(...ys) + Math.min(...ys)) / 2;
      const glow = ctx.createRadialGradient(p.x, centre / squeeze, 0, p.x, centre / squeeze, wide / 2);
      glow.addColorStop(0, paint.floor); glow.addColorStop(0.5, paint.floor); glow.addColorStop(1, paint.sky);
      ctx.save(); ctx.scale(1, squeeze); ctx.fillStyle = glow;
      ctx.beginPath(); ctx.arc(p.x, centre / squeeze, wide / 2, 0, 7); ctx.fill(); ctx.restore();
    }
    ctx.strokeStyle = paint.grid;
    const cell = 0.5, reach = Math.ceil(radius / cell);
    const cx = Math.round(c[0] / cell), cz = Math.round(c[2] / cell);
    const piece = (x0, z0, x1, z1, heavy) => {
      const d = Math.hypot((x0 + x1) / 2 - c[0], (z0 + z1) / 2 - c[2]) / radius;
      if (d > 1) return;
      const a = project([x0, 0, z0]), b = project([x1, 0, z1]);
      if (a.z < NEAR || b.z < NEAR) return;
      ctx.globalAlpha = (1 - d * d) * (heavy ? 1 : 0.6); ctx.lineWidth = heavy ? 1.5 : 1;
      ctx.beginPath(); ctx.moveTo(a.x, a.y); ctx.lineTo(b.x, b.y); ctx.stroke();
    };
    for (let i = -reach; i <= reach; i++)
      for (let j = -reach; j < reach; j++) {
        piece((cx + i) * cell, (cz + j) * cell, (cx + i) * cell, (cz + j + 1) * cell, (cx + i) % 2 === 0);
        piece((cx + j) * cell, (cz + i) * cell, (cx + j + 1) * cell, (cz + i) * cell, (cz + i) % 2 === 0);
      }
    ctx.globalAlpha = 1;
  }

  // --- what a frame consists of: drawing jobs with a depth, painted from far to near
  let jobs = [];
  const job = (z, draw) => { if (z > NEAR) jobs.push({ z, draw }); };
  const haze = (z) => Math.max(0, Math.min(1, (z - camera.distance + 0.8) / 2.4)) * 0.4;  // far things fade a little
  const tone = (side, z, k = 1) => {
    const c = paint.bone[side] || paint.bone[""], h = haze(z);
    return rgb(c.map((v) => v * (1 - h) + 200 * h), k);
  };
  function ball(p, radius, side, k = 1) {
    const q = project(p);
    job(q.z, () => {
      const r = radius * q.s;
      const g = ctx.createRadialGradient(q.x - r * 0.35, q.y - r * 0.4, r * 0.1, q.x, q.y, r);
      g.addColorStop(0, tone(side, q.z, 1.45 * k)); g.addColorStop(0.6, tone(side, q.z, 0.95 * k)); g.addColorStop(1, tone(side, q.z, 0.66 * k));
      ctx.fillStyle = g; ctx.beginPath(); ctx.arc(q.x, q.y, r, 0, 7); ctx.fill();
    });
  }
  const PROFILE = [[0, 1.0], [0.1, 1.0], [0.28, 0.66], [0.5, 0.58], [0.72, 0.66], [0.9, 1.0], [1, 1.0]];  // wide ends, slim shaft
  function bone(a, b, radius, side) {
    const p = project(a), q = project(b), z = (p.z + q.z) / 2;
    if (p.z < NEAR || q.z < NEAR) return;
    job(z, () => {
      const dx = q.x - p.x, dy = q.y - p.y, length = Math.hypot(dx, dy);
      if (length > 0.5) {
        const nx = -dy / length, ny = dx / length, edge = [];
        for (const [u, w] of PROFILE) {
          const s = (p.s + (q.s - p.s) * u) * radius * w;
          edge.push([p.x + dx * u, p.y + dy * u, nx * s, ny * s]);
        }
        const m = edge[0], wide = Math.hypot(m[2], m[3]);
        const g = ctx.createLinearGradient(m[0] - nx * wide, m[1] - ny * wide, m[0] + nx * wide, m[1] + ny * wide);
        const lit = nx * -0.5 + ny * -0.85 > 0 ? 1 : 0;  // light from above left
        g.addColorStop(0, tone(side, z, lit ? 0.66 : 0.95)); g.addColorStop(lit ? 0.68 : 0.32, tone(side, z, 1.38));
        g.addColorStop(1, tone(side, z, lit ? 0.95 : 0.66));
        ctx.fillStyle = g; ctx.beginPath();
        const smooth = (points) => points.forEach(([x, y], i) => {
          if (!i) return ctx.lineTo(x, y);
          const [px, py] = points[i - 1];
          ctx.quadraticCurveTo(px, py, (px + x) / 2, (py + y) / 2);
          if (i === points.length - 1) ctx.lineTo(x, y);
        });
        ctx.moveTo(edge[0][0] + edge[0][2], edge[0][1] + edge[0][3]);
        smooth(edge.map((e) => [e[0] + e[2], e[1] + e[3]]));
        smooth(edge.slice().reverse().map((e) => [e[0] - e[2], e[1] - e[3]]));
        ctx.closePath(); ctx.fill();
      }
    });
    ball(a, radius * 1.12, side); ball(b, radius * 1.02, side);
  }
  function curve(points, thick, side, closed = false, fill = 0) {
    const q = points.map(project);
    if (q.some((p) => p.z < NEAR)) return;
    const z = q.reduce((s, p) => s + p.z, 0) / q.length;
    job(z, () => {
      const half = (a, b) => [(a.x + b.x) / 2, (a.y + b.y) / 2], n = q.length;
      ctx.beginPath();
      if (closed) {  // corners become curves
        ctx.moveTo(...half(q[n - 1], q[0]));
        q.forEach((p, i) => ctx.quadraticCurveTo(p.x, p.y, ...half(p, q[(i + 1) % n])));
        ctx.closePath();
      } else {
        ctx.moveTo(q[0].x, q[0].y);
        for (let i = 1; i < n - 1; i++) ctx.quadraticCurveTo(q[i].x, q[i].y, ...half(q[i], q[i + 1]));
        ctx.lineTo(q[n - 1].x, q[n - 1].y);
      }
      ctx.lineJoin = ctx.lineCap = "round";
      if (fill) { ctx.globalAlpha = fill; ctx.fillStyle = tone(side, z, 1.1); ctx.fill(); ctx.globalAlpha = 1; }
      ctx.strokeStyle = tone(side, z, 0.72); ctx.lineWidth = thick * q[0].s; ctx.stroke();
      ctx.strokeStyle = tone(side, z, 1.2); ctx.lineWidth = 0.55 * thick * q[0].s; ctx.stroke();
    });
  }

  // Rib cage, pelvis and skull are drawn between the joint centres for orientation; they are not measured.
  function trunk(f) {
    const g = scene.figure;
    if (g.trunk === undefined) return;
    const base = nodes.at(f, g.trunk), neck = nodes.at(f, g.neck), sr = nodes.at(f, g.shoulder_r), sl = nodes.at(f, g.shoulder_l);
    if (!base || !neck || !sr || !sl) return;
    const rise = sub(neck, base), tallness = norm(rise), y = unit(rise), wide = norm(sub(sr, sl));
    const x = unit(cross(y, sub(sr, sl))), z = cross(x, y);
    const ring = (h, w, d, from, to) => {
      const points = [];
      for (let i = 0; i <= 10; i++) {
        const a = from + (to - from) * i / 10, front = Math.cos(a);
        points.push(add(add(add(base, y, h * tallness - 0.05 * tallness * (front + 1)), x, d * front + 0.10 * d), z, w * Math.sin(a)));
      }
      return points;
    };
    const cage = [[0.40, 0.40], [0.49, 0.45], [0.58, 0.46], [0.67, 0.45], [0.76, 0.41], [0.85, 0.33], [0.93, 0.22]];
    for (const [h, w] of cage)
      for (const s of [1, -1])
        for (const [a, b] of [[0.14, 1.5], [1.5, 2.9]])
          curve(ring(h, w * wide, 0.74 * w * wide, s * a, s * b), 0.0085, "");
    curve([0.48, 0.6, 0.75, 0.93].map((h, i) => {
      const w = [0.45, 0.46, 0.41, 0.22][i] * wide * 0.74;
      return add(add(base, y, (h - 0.1) * tallness), x, 1.1 * w);
    }), 0.016, "");
    const skull = nodes.at(f, g.head), r = 0.165 * tallness, q = project(skull);
    const tip = project(add(skull, y, r)), turn = Math.atan2(tip.x - q.x, -(tip.y - q.y));
    ball(add(add(skull, y, -0.72 * r), x, 0.38 * r), 0.48 * r, "");
    job(q.z - 0.02, () => {
      ctx.save(); ctx.translate(q.x, q.y); ctx.rotate(turn);
      const R = r * q.s, shade = ctx.createRadialGradient(-R * 0.3, -R * 0.4, R * 0.1, 0, 0, R * 1.15);
      shade.addColorStop(0, tone("", q.z, 1.5)); shade.addColorStop(0.6, tone("", q.z, 1)); shade.addColorStop(1, tone("", q.z, 0.68));
      ctx.fillStyle = shade; ctx.beginPath(); ctx.ellipse(0, 0, R * 0.82, R, 0, 0, 7); ctx.fill(); ctx.restore();
    });
  }
  function pelvis(f) {
    const g = scene.figure;
    if (g.hip_r === undefined) return;
    const hr = nodes.at(f, g.hip_r), hl = nodes.at(f, g.hip_l), top = nodes.at(f, g.lumbar);
    if (!hr || !hl || !top) return;
    const W = norm(sub(hr, hl)), mid = add(hl, sub(hr, hl), 0.5), z = unit(sub(hr, hl));
    const x = unit(cross(sub(top, mid), z)), y = cross(z, x), tilt = unit(add(y, x, 0.25)), lean = cross(tilt, z);
    const at = (a, b, c) => add(add(add(mid, lean, a * W), tilt, b * W), z, c * W);
    for (const [s, side] of [[1, "r"], [-1, "l"]]) {
      curve([at(-0.62, 0.5, 0.1 * s), at(-0.6, 0.78, 0.36 * s), at(-0.25, 0.92, 0.72 * s), at(0.15, 0.86, 0.84 * s), at(0.42, 0.6, 0.78 * s),
        at(0.32, 0.3, 0.62 * s), at(0.05, 0.1, 0.56 * s), at(-0.3, 0.12, 0.42 * s)], 0.011, side, true, 0.5);
      curve([at(0.12, 0.08, 0.5 * s), at(0.42, -0.06, 0.08 * s), at(0.3, -0.26, 0.12 * s), at(-0.12, -0.42, 0.36 * s), at(-0.2, -0.1, 0.46 * s)], 0.013, side);
    }
    curve([at(-0.62, 0.62, 0.16), at(-0.62, 0.62, -0.16), at(-0.72, 0.05, 0)], 0.014, "", true, 0.7);
    curve([at(-0.6, 0.6, 0), top], 0.03, "");
  }
  function shadow(f) {
    ctx.lineCap = "round"; ctx.strokeStyle = "#10161f";
    for (const b of scene.bones) {
      const p = nodes.at(f, b.a), q = nodes.at(f, b.b);
      if (!p || !q) continue;
      const a = project([p[0], 0, p[2]]), c = project([q[0], 0, q[2]]);
      if (a.z < NEAR || c.z < NEAR) continue;
      const lift = Math.min(1, (Math.max(0, p[1]) + Math.max(0, q[1])) / 2);
      for (const k of [1.4, 2.6, 4.2]) {
        ctx.globalAlpha = 0.05 * (1 - 0.65 * lift); ctx.lineWidth = k * b.r * a.s * (1 + 1.5 * lift);
        ctx.beginPath(); ctx.moveTo(a.x, a.y); ctx.lineTo(c.x, c.y); ctx.stroke();
      }
    }
    ctx.globalAlpha = 1;
  }
  function markers(f) {
    const dots = (tracks, draw) => { for (let k = 0; tracks && k < tracks.n; k++) { const p = tracks.at(f, k); if (p) draw(p); } };
    if (show.model) dots(model, (p) => {
      const q = project(p);
      job(q.z - 0.05, () => {
        ctx.strokeStyle = paint.soft; ctx.lineWidth = 1.4; ctx.beginPath(); ctx.arc(q.x, q.y, Math.max(3, 0.012 * q.s), 0, 7); ctx.stroke();
      });
    });
    if (show.measured) dots(measured, (p) => {
      const q = project(p);
      job(q.z - 0.05, () => {
        ctx.fillStyle = paint.ink; ctx.strokeStyle = paint.card; ctx.lineWidth = 1;
        ctx.beginPath(); ctx.arc(q.x, q.y, Math.max(1.8, 0.0068 * q.s), 0, 7); ctx.fill(); ctx.stroke();
      });
    });
  }
  function forces(f) {
    for (const load of loads) {
      const p = load.point.at(f, 0), F = [0, 1, 2].map((a) => load.force[3 * f + a]);
      if (!p || !F.every(Number.isFinite) || norm(F) < 0.01 * scene.weight) continue;
      const a = project(p), b = project(add(p, F, 0.75 / scene.weight));
      job(Math.min(a.z, b.z) - 0.1, () => {
        const angle = Math.atan2(b.y - a.y, b.x - a.x), head = Math.min(0.06 * b.s, 0.5 * Math.hypot(b.x - a.x, b.y - a.y));
        ctx.strokeStyle = ctx.fillStyle = paint.force; ctx.lineWidth = Math.max(2.5, 0.013 * a.s); ctx.lineCap = "round";
        ctx.beginPath(); ctx.moveTo(a.x, a.y); ctx.lineTo(b.x - 0.8 * head * Math.cos(angle), b.y - 0.8 * head * Math.sin(angle)); ctx.stroke();
        ctx.beginPath(); ctx.moveTo(b.x, b.y);
        for (const s of [-0.42, 0.42]) ctx.lineTo(b.x - head * Math.cos(angle + s), b.y - head * Math.sin(angle + s));
        ctx.closePath(); ctx.fill();
        ctx.beginPath(); ctx.arc(a.x, a.y, Math.max(3, 0.014 * a.s), 0, 7); ctx.fill();
      });
    }
  }
  function massCentre(f) {
    const p = com.at(f, 0);
    if (!p) return;
    const q = project(p), base = project([p[0], 0, p[2]]);
    job(NEAR * 1.01, () => {
      ctx.setLineDash([3, 4]); ctx.strokeStyle = paint.soft; ctx.lineWidth = 1;
      ctx.beginPath(); ctx.moveTo(q.x, q.y); ctx.lineTo(base.x, base.y); ctx.stroke(); ctx.setLineDash([]);
      const r = Math.max(5, 0.022 * q.s);
      ctx.fillStyle = paint.card; ctx.beginPath(); ctx.arc(q.x, q.y, r, 0, 7); ctx.fill();
      ctx.fillStyle = paint.ink;
      for (const a of [0, Math.PI]) { ctx.beginPath(); ctx.moveTo(q.x, q.y); ctx.arc(q.x, q.y, r, a, a + Math.PI / 2); ctx.fill(); }
      ctx.strokeStyle = paint.ink; ctx.lineWidth = 1.2; ctx.beginPath(); ctx.arc(q.x, q.y, r, 0, 7); ctx.stroke();
    });
  }

  function draw() {
    dirty = false;
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    ctx.fillStyle = paint.sky; ctx.fillRect(0, 0, width, height);
    aim(); ground(); jobs = [];
    if (show.bones) {
      shadow(frame);
      for (const b of scene.bones) {
        const p = nodes.at(frame, b.a), q = nodes.at(frame, b.b);
        if (!p || !q) continue;
        if (b.kind !== "spine") { bone(p, q, b.r, b.side); continue; }
        const steps = 9;  // vertebrae
        for (let i = 0; i < steps; i++) {
          const u = i / steps, d = sub(q, p);
          bone(add(p, d, u), add(p, d, u + 0.72 / steps), b.r * 0.8, "");
        }
      }
      trunk(frame); pelvis(frame);
    }
    markers(frame);
    if (show.loads) forces(frame);
    if (show.com) massCentre(frame);
    jobs.sort((a, b) => b.z - a.z).forEach((j) => j.draw());
  }

  // --- time
  const slider = root.querySelector(".bar input[type=range]"), readout = root.querySelector(".time"), button = root.querySelector(".play");
  slider.max = frames - 1;
  function setFrame(f) {
    frame = Math.max(0, Math.min(frames - 1, f)); dirty = true;
    slider.value = frame;
    const now = (scene.start + times[frame]).toFixed(2), end = (scene.start + duration).toFixed(2);
    readout.textContent = `${now} / ${end} s`;
    slider.setAttribute("aria-valuetext", `${now} seconds`);
    listeners.forEach((call) => call(scene.start + times[frame]));
    wake();
  }
  function nearest(t) {
    let a = 0, b = frames - 1;
    while (b - a > 1) { const m = (a + b) >> 1; if (times[m] <= t) a = m; else b = m; }
    return t - times[a] < times[b] - t ? a : b;
  }
  const ICON = { play: "M2 1l11 6-11 6z", pause: "M2 1h4v12H2zM8 1h4v12H8z" };
  function setPlaying(on) {
    playing = on && frames > 1; clock = times[frame]; last = 0;
    if (playing && frame === frames - 1) clock = 0;
    button.innerHTML = `<svg viewBox="0 0 14 14" aria-hidden="true"><path d="${playing ? ICON.pause : ICON.play}"/></svg>`;
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    wake();
  }
  let asked = false;
  function wake() {
    if (asked) return;
    asked = true;
    // Playing goes with the screen's refresh; a single change is drawn at once, also where nothing refreshes (headless).
    if (playing) requestAnimationFrame(tick); else setTimeout(() => tick(0), 0);
  }
  function tick(now) {
    asked = false;
    if (playing) {
      if (last) { clock += speed * Math.min(0.1, (now - last) / 1000); if (clock > duration) clock = 0; setFrame(nearest(clock)); }
      last = now; wake();
    }
    if (dirty) draw();
  }

  // --- hands: mouse, touch, wheel, keys
  const pointers = new Map();
  let pinch = 0;
  canvas.addEventListener("pointerdown", (e) => { pointers.set(e.pointerId, e); canvas.setPointerCapture(e.pointerId); pinch = 0; });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(end, (e) => { pointers.delete(e.pointerId); pinch = 0; });
  const zoom = (k) => { camera.distance = Math.max(0.8, Math.min(40, camera.distance * k)); dirty = true; wake(); };
  const orbit = (dx, dy) => {
    camera.azimuth += dx; camera.elevation = Math.max(-0.1, Math.min(1.5, camera.elevation + dy)); dirty = true; wake();
  };
  canvas.addEventListener("pointermove", (e) => {
    const before = pointers.get(e.pointerId);
    if (!before) return;
    pointers.set(e.pointerId, e);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], gap = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (pinch) zoom(pinch / gap);
      pinch = gap;
    } else orbit((e.clientX - before.clientX) * 0.008, (e.clientY - before.clientY) * 0.006);
  });
  canvas.addEventListener("wheel", (e) => {
    if (!e.ctrlKey && document.activeElement !== stage) return;  // scrolling past must not zoom
    e.preventDefault(); zoom(Math.exp(e.deltaY * 0.0012));
  }, { passive: false });
  stage.addEventListener("keydown", (e) => {
    const act = {
      " ": () => setPlaying(!playing), ArrowRight: () => step(e.shiftKey ? 10 : 1), ArrowLeft: () => step(e.shiftKey ? -10 : -1),
      Home: () => setFrame(0), End: () => setFrame(frames - 1), "+": () => zoom(0.9), "=": () => zoom(0.9), "-": () => zoom(1.1),
      1: () => view("side"), 2: () => view("front"), 3: () => view("oblique"), 4: () => view("top"),
    }[e.key];
    if (act) { e.preventDefault(); act(); }
  });
  const step = (n) => { setPlaying(false); setFrame(frame + n); };
  canvas.addEventListener("pointerdown", () => stage.focus({ preventScroll: true }));
  button.addEventListener("click", () => setPlaying(!playing));
  slider.addEventListener("input", () => { setPlaying(false); setFrame(Number(slider.value)); });
  root.querySelector(".bar select").addEventListener("change", (e) => { speed = Number(e.target.value); });
  const there = { measured, model, loads: loads.length };
  root.querySelectorAll("[data-show]").forEach((box) => {
    if (box.dataset.show in there && !there[box.dataset.show]) { box.parentElement.remove(); return; }
    box.checked = show[box.dataset.show];
    box.addEventListener("change", () => {
      show[box.dataset.show] = box.checked;
      if (box.dataset.show === "follow") fit();
      dirty = true; wake();
    });
  });
  root.querySelectorAll("[data-view]").forEach((b) => b.addEventListener("click", () => view(b.dataset.view)));
  function view(name) {
    const turn = { side: Math.PI / 2, front: 0, oblique: 0.95, top: Math.PI / 2 }[name];
    camera.azimuth = scene.heading + turn; camera.elevation = name === "top" ? 1.5 : name === "oblique" ? 0.2 : 0.06;
    fit();
  }
  function fit() { camera.distance = (show.follow ? tall : span) * (show.follow || span <= 1.1 * tall ? 1.9 : 1.6) + 0.2; dirty = true; wake(); }
  function resize() {
    const box = stage.getBoundingClientRect();
    width = Math.max(50, box.width); height = Math.max(50, box.height);
    scale = Math.min(3, window.devicePixelRatio || 1);
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    draw();
  }
  readColours(); setPlaying(false); view("oblique"); setFrame(Math.floor(frames * (scene.poster || 0)));
  resize();
  new ResizeObserver(resize).observe(stage);
  return {
    seek: (t) => { setPlaying(false); setFrame(nearest(t - scene.start)); },
    step, toggle: () => setPlaying(!playing),
    onTime: (call) => { listeners.push(call); call(scene.start + times[frame]); },
    repaint: () => { readColours(); resize(); },
  };
}
