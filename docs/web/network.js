/* A folded network's forward pass in plain JavaScript: the steps and weights that docs/moving.py has written down.
 *
 * A value is {data: Float32Array, c, h, w}. Nothing is fast here but the loops themselves: an image takes some ten
 * milliseconds, which is what the network was made small for.
 */
(function () {
  "use strict";

  course.bytes = text => {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
    return bytes;
  };

  /* float32 in base64, little-endian, as every machine that runs a browser. */
  const weights = text => new Float32Array(course.bytes(text).buffer);

  function convolve(x, step, w) {
    const { data: pixels } = x;
    const { out, kernel: [kh, kw], stride: [sh, sw], padding: [ph, pw], groups, weight, bias } = step;
    const inside = x.c / groups, outside = out / groups;
    const h = Math.floor((x.h + 2 * ph - kh) / sh) + 1, wide = Math.floor((x.w + 2 * pw - kw) / sw) + 1;
    const y = new Float32Array(out * h * wide);
    for (let o = 0; o < out; o++) {
      const to = o * h * wide, group = Math.floor(o / outside);
      y.fill(bias < 0 ? 0 : w[bias + o], to, to + h * wide);
      for (let i = 0; i < inside; i++) {
        const from = (group * inside + i) * x.h * x.w, at = weight + (o * inside + i) * kh * kw;
        for (let ky = 0; ky < kh; ky++) {
          for (let kx = 0; kx < kw; kx++) {
            const factor = w[at + ky * kw + kx];
            // The outputs whose input under this weight lies inside of the image.
            const first = Math.max(0, Math.ceil((pw - kx) / sw));
            const last = Math.min(wide - 1, Math.floor((x.w - 1 + pw - kx) / sw));
            for (let row = 0; row < h; row++) {
              const source = row * sh + ky - ph;
              if (source < 0 || source >= x.h) continue;
              let place = to + row * wide + first, read = from + source * x.w + first * sw + kx - pw;
              for (let column = first; column <= last; column++, place++, read += sw) y[place] += factor * pixels[read];
            }
          }
        }
      }
    }
    return { data: y, c: out, h, w: wide };
  }

  const each = (x, change) => ({ ...x, data: x.data.map(change) });

  /* Two values of one shape, or one of them a number for each channel. */
  function combine(a, b, change) {
    if (b.data.length > a.data.length) return combine(b, a, change);
    const area = a.h * a.w, alone = b.h * b.w === 1 && area > 1;
    return { ...a, data: a.data.map((value, at) => change(value, b.data[alone ? Math.floor(at / area) : at])) };
  }

  function concatenate(values) {
    const data = new Float32Array(values.reduce((sum, x) => sum + x.data.length, 0));
    let at = 0;
    for (const x of values) {
      data.set(x.data, at);
      at += x.data.length;
    }
    return { data, c: values.reduce((sum, x) => sum + x.c, 0), h: values[0].h, w: values[0].w };
  }

  function pool(x, size) {
    const h = Math.floor(x.h / size), w = Math.floor(x.w / size), data = new Float32Array(x.c * h * w);
    for (let c = 0; c < x.c; c++)
      for (let row = 0; row < h * size; row++)
        for (let column = 0; column < w * size; column++)
          data[(c * h + Math.floor(row / size)) * w + Math.floor(column / size)]
            += x.data[(c * x.h + row) * x.w + column] / (size * size);
    return { data, c: x.c, h, w };
  }

  function resize(x, [h, w]) {
    const data = new Float32Array(x.c * h * w);
    for (let c = 0; c < x.c; c++)
      for (let row = 0; row < h; row++)
        for (let column = 0; column < w; column++)
          data[(c * h + row) * w + column]
            = x.data[(c * x.h + Math.floor(row * x.h / h)) * x.w + Math.floor(column * x.w / w)];
    return { data, c: x.c, h, w };
  }

  function mean(x) {
    const area = x.h * x.w, data = new Float32Array(x.c);
    for (let c = 0; c < x.c; c++) {
      let sum = 0;
      for (let at = 0; at < area; at++) sum += x.data[c * area + at];
      data[c] = sum / area;
    }
    return { data, c: x.c, h: 1, w: 1 };
  }

  function linear(x, { out, weight, bias }, w) {
    const data = new Float32Array(out), inside = x.data.length;
    for (let o = 0; o < out; o++) {
      let sum = bias < 0 ? 0 : w[bias + o];
      for (let i = 0; i < inside; i++) sum += w[weight + o * inside + i] * x.data[i];
      data[o] = sum;
    }
    return { data, c: out, h: 1, w: 1 };
  }

  const STEPS = {
    convolution: ([x], step, w) => convolve(x, step, w),
    linear: ([x], step, w) => linear(x, step, w),
    relu: ([x]) => each(x, value => value > 0 ? value : 0),
    sigmoid: ([x]) => each(x, value => 1 / (1 + Math.exp(-value))),
    hardsigmoid: ([x]) => each(x, value => Math.min(1, Math.max(0, value / 6 + 0.5))),
    add: ([a, b]) => combine(a, b, (x, y) => x + y),
    multiply: ([a, b]) => combine(a, b, (x, y) => x * y),
    concatenate: values => concatenate(values),
    pool: ([x], step) => pool(x, step.size),
    resize: ([x], step) => resize(x, step.size),
    mean: ([x]) => mean(x),
    flatten: ([x]) => ({ ...x, c: x.data.length, h: 1, w: 1 }),
  };

  /* Returns a function from pixels (3 × 32 × 32 bytes, channel after channel) to ten logits. */
  course.network = ({ steps, weights: text, mean: means, std }) => {
    const w = weights(text);
    return pixels => {
      const area = 32 * 32, input = new Float32Array(3 * area);
      for (let at = 0; at < input.length; at++) {
        const channel = Math.floor(at / area);
        input[at] = (pixels[at] / 255 - means[channel]) / std[channel];
      }
      const values = [{ data: input, c: 3, h: 32, w: 32 }], left = new Map();
      for (const step of steps) for (const at of step.of) left.set(at, (left.get(at) || 0) + 1);
      for (const step of steps) {
        values.push(STEPS[step.does](step.of.map(at => values[at]), step, w));
        for (const at of step.of) {
          left.set(at, left.get(at) - 1);
          if (!left.get(at)) values[at] = null; // let the memory go
        }
      }
      return Array.from(values.at(-1).data);
    };
  };
})();
