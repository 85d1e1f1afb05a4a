"""The signal operators: from samples of sound to features of them. Their tensors have no scales."""

import numpy as np
from flatbuffers import flexbuffers

from .common import Case, Model, operator, words

I16 = np.iinfo(np.int16)


def sound(rng, n, loud=32767):
    """Samples of some tones and noise, at most so loud."""
    t = np.arange(n)
    tones = sum(rng.uniform(0.1, 1) * np.sin(rng.uniform(0.01, 3) * t + rng.uniform(0, 6)) for _ in range(4))
    x = tones + rng.normal(0, 0.3, n)
    return (x / np.abs(x).max() * loud).astype(np.int16)


def u32(rng, n):
    """Numbers of any length from 0 to 32 bits, with the smallest and the largest."""
    x = rng.integers(0, 1 << 32, n, dtype=np.uint64) >> rng.integers(0, 33, n, dtype=np.uint64)
    x[: min(n, 4)] = [0, 1, 2, (1 << 32) - 1][:n]
    return x.astype(np.uint32)


def window(g, x, to, weights, shift):
    g.custom("SignalWindow", [x, g.const(weights, dtype=np.int16)], [to], flexbuffers.Dumps({"shift": shift}))


def rfft(g, x, to, length):
    g.custom("SignalRfft", [x], [to], flexbuffers.Dumps({"T": 7, "fft_length": length}))


def energy(g, x, to, start, end):
    g.custom("SignalEnergy", [x], [to], flexbuffers.Dumps({"end_index": end, "start_index": start}))


def filter_bank(g, x, bits, to, bank):
    """Sums and their square roots; `bank` has weights, weights for the next channel, energies, starts and widths."""
    channels = len(bank[2]) - 1
    sums = g.tensor([channels], dtype=np.uint64)
    inputs = [x, *(g.const(part, dtype=np.int16) for part in bank)]
    g.custom("SignalFilterBank", inputs, [sums], flexbuffers.Dumps({"num_channels": channels}))
    g.custom("SignalFilterBankSquareRoot", [sums, bits], [to], b"")


def subtraction(g, x, to, estimate, channels, smoothing, remaining, smoothing_bits, bits, clamping):
    even, odd = (int(part * (1 << bits)) for part in smoothing)
    options = {
        "alternate_one_minus_smoothing": (1 << bits) - odd,
        "alternate_smoothing": odd,
        "clamping": clamping,
        "min_signal_remaining": int(remaining * (1 << bits)),
        "num_channels": channels,
        "one_minus_smoothing": (1 << bits) - even,
        "smoothing": even,
        "smoothing_bits": smoothing_bits,
        "spectral_subtraction_bits": bits,
    }
    g.custom("SignalFilterBankSpectralSubtraction", [x], [to, estimate], flexbuffers.Dumps(options))


def pcan(g, x, estimate, to, gains, shift):
    inputs = [x, estimate, g.const(gains, dtype=np.int16)]
    g.custom("SignalPCAN", inputs, [to], flexbuffers.Dumps({"snr_shift": shift}))


def log(g, x, to, shift, scale):
    options = flexbuffers.Dumps({"input_correction_bits": shift, "output_scale": scale})
    g.custom("SignalFilterBankLog", [x], [to], options)


def hann(n, bits):
    return np.round((0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)) * (1 << bits)).astype(np.int16)


def triangles(rng, channels, energies, bits=12):
    """Filters whose edges are at growing distances; each band has a width that is a multiple of 4."""
    edges = np.cumsum(np.linspace(1, 3, channels + 2))
    edges = 1 + np.floor(edges / edges[-1] * (energies - 8)).astype(int)
    own, after, first, starts, widths = [], [], [], [], []
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        width = -(-max(right - left, 1) // 4) * 4
        part = np.zeros(width)
        inside = max(right - left, 0)
        part[:inside] = (np.arange(inside) + rng.uniform(0, 1)) / max(inside, 1)
        starts.append(len(own))
        first.append(left)
        widths.append(width)
        own += list((part * (1 << bits)).astype(int))
        after += list((np.where(part > 0, 1 - part, 0) * (1 << bits)).astype(int))
    return own, after, first, starts, widths


def gains(strength, offset, bits, gain_bits):
    """A parabola through three points of each power of 2 from 2 on."""

    def gain(x):
        return min((x / (1 << bits) + offset) ** -strength * (1 << gain_bits), I16.max)

    table = [gain(0), gain(1)]
    for n in range(1, 32):
        y, middle, end = gain(1 << n), gain(1.5 * (1 << n)), gain(2 << n)
        table += [y, 4 * middle - 3 * y - end, 2 * (y + end) - 4 * middle, 0]
    return np.round(table[:125]).astype(np.int16)


@operator
def signal():
    def windows(shape, shift, any_weights=False):
        def make(rng):
            model = Model()
            g = model.main
            n = shape[-1]
            weights = rng.integers(I16.min, I16.max, n, endpoint=True) if any_weights else hann(n, shift)
            window(g, g.input(shape, dtype=np.int16), g.output(shape, dtype=np.int16), weights, shift)
            return Case(model, words(window=shape, shift=shift))

        return make

    def auto_scale(inputs, note):
        def make(rng):
            model = Model()
            g = model.main
            samples = [[np.asarray(x, np.int16)] for x in inputs(rng)]
            x = g.input(samples[0][0].shape, dtype=np.int16)
            to, bits = g.output(samples[0][0].shape, dtype=np.int16), g.output([], dtype=np.int32)
            g.custom("SignalFftAutoScale", [x], [to, bits], b"")
            return Case(model, words(auto_scale=note), len(samples), samples, may_be_flat=True)

        return make

    def transforms(length, n, rows=1, loud=None):
        def make(rng):
            model = Model()
            g = model.main
            shape = [rows, n] if rows > 1 else [n]
            x, to = g.input(shape, dtype=np.int16), g.output([*shape[:-1], length + 2], dtype=np.int16)
            rfft(g, x, to, length)
            inputs = [[sound(rng, rows * n, loud).reshape(shape)]] if loud else []
            return Case(model, words(rfft=length, samples=n, rows=rows), inputs=inputs)

        return make

    def energies(n, start, end):
        def make(rng):
            model = Model()
            g = model.main
            x, to = g.input([2 * n], dtype=np.int16), g.output([end - start], dtype=np.int32)
            # TensorFlow Lite Micro leaves the other energies as they are.
            of_all, cast = g.tensor([n], dtype=np.uint32), g.tensor([n], dtype=np.int32)
            energy(g, x, of_all, start, end)
            g.op("CAST", [of_all], [cast], inDataType=15, outDataType=2)
            g.op("STRIDED_SLICE", [cast, g.ints([start]), g.ints([end]), g.ints([1])], [to])
            return Case(model, words(energy=n, start=start, end=end))

        return make

    def banks(channels, n, bits, any_weights=False):
        def make(rng):
            model = Model()
            g = model.main
            bank = triangles(rng, channels, n)
            if any_weights:
                w = len(bank[0])
                bank = (*(rng.integers(I16.min, I16.max, w, endpoint=True) for _ in range(2)), *bank[2:])
            x, scale = g.input([n], dtype=np.uint32), g.input([], dtype=np.int32)
            filter_bank(g, x, scale, g.output([channels], dtype=np.uint32), bank)
            inputs = [[u32(rng, n), bits], [u32(rng, n) >> np.uint32(16), 0]]
            return Case(model, words(channels=channels, energies=n, bits=bits), len(inputs), inputs)

        return make

    def subtractions(n, smoothing, remaining, smoothing_bits, bits, clamping, shown=2, any_numbers=False):
        def make(rng):
            model = Model()
            g = model.main
            x, to = g.input([n], dtype=np.uint32), g.output([n], dtype=np.uint32)
            estimate = g.output([n], dtype=np.uint32) if shown == 2 else g.tensor([n], dtype=np.uint32)
            subtraction(g, x, to, estimate, n, smoothing, remaining, smoothing_bits, bits, clamping)
            steps = 5
            loud = [u32(rng, n) if any_numbers else rng.integers(0, 1 << 18, n) >> k for k in range(steps)]
            note = words(channels=n, smoothing=smoothing, remaining=remaining, clamping=clamping, shown=shown)
            return Case(model, note, steps, [[x.astype(np.uint32)] for x in loud])

        return make

    def normalizations(n, shift, any_gains=False):
        def make(rng):
            model = Model()
            g = model.main
            table = rng.integers(I16.min, I16.max, 125) if any_gains else gains(0.95, 80, 7, 21)
            x, estimate = g.input([n], dtype=np.uint32), g.input([n], dtype=np.uint32)
            pcan(g, x, estimate, g.output([n], dtype=np.uint32), table, shift)
            return Case(model, words(pcan=n, shift=shift, any_gains=any_gains), inputs=[[u32(rng, n), u32(rng, n)]])

        return make

    def logarithms(n, shift, scale):
        def make(rng):
            model = Model()
            g = model.main
            log(g, g.input([n], dtype=np.uint32), g.output([n], dtype=np.int16), shift, scale)
            return Case(model, words(log=n, shift=shift, scale=scale), inputs=[[u32(rng, n)]])

        return make

    def front_end(samples, length, channels, start, end, clamping=False, steps=6, codes=False):
        """The whole chain of `audio_preprocessor.py` of TensorFlow Lite Micro, up to the logarithms or their codes."""

        def make(rng):
            model = Model()
            g = model.main
            n = length // 2 + 1
            x = g.input([1, samples], dtype=np.int16)
            to = (g.tensor if codes else g.output)([channels], dtype=np.int16)
            windowed, flat = g.tensor([1, samples], dtype=np.int16), g.tensor([samples], dtype=np.int16)
            window(g, x, windowed, hann(samples, 12), 12)
            g.op("RESHAPE", [windowed, g.ints([-1])], [flat])
            scaled, bits = g.tensor([samples], dtype=np.int16), g.tensor([], dtype=np.int32)
            g.custom("SignalFftAutoScale", [flat], [scaled, bits], b"")
            spectrum = g.tensor([length + 2], dtype=np.int16)
            rfft(g, scaled, spectrum, length)
            of_all, cast = g.tensor([n], dtype=np.uint32), g.tensor([n], dtype=np.int32)
            energy(g, spectrum, of_all, start, end)
            g.op("CAST", [of_all], [cast], inDataType=15, outDataType=2)
            part, whole = g.tensor([end - start], dtype=np.int32), g.tensor([n], dtype=np.int32)
            g.op("STRIDED_SLICE", [cast, g.ints([start]), g.ints([end]), g.ints([1])], [part])
            zeros = [g.ints(np.zeros(count)) for count in (start, n - end)]
            g.op("CONCATENATION", [zeros[0], part, zeros[1]], [whole], axis=0)
            again = g.tensor([n], dtype=np.uint32)
            g.op("CAST", [whole], [again], inDataType=2, outDataType=15)
            roots, left, estimate, normal = (g.tensor([channels], dtype=np.uint32) for _ in range(4))
            filter_bank(g, again, bits, roots, triangles(rng, channels, n))
            subtraction(g, roots, left, estimate, channels, (0.025, 0.06), 0.05, 10, 14, clamping)
            pcan(g, left, estimate, normal, gains(0.95, 80, 7, 21), 6)
            log(g, normal, to, 3, 64)
            if codes:
                last = g.tensor([channels], dtype=np.int32)
                g.op("CAST", [to], [last], inDataType=7, outDataType=2)
                numbers = {"MUL": 256, "ADD": 333, "DIV": 666, "SUB": 128, "MINIMUM": 127, "MAXIMUM": -128}
                for name, number in numbers.items():
                    before, last = last, g.tensor([channels], dtype=np.int32)
                    g.op(name, [before, g.ints(number)], [last])
                g.op("CAST", [last], [g.output([channels])], inDataType=2, outDataType=9)
            note = words(front_end=samples, rfft=length, channels=channels, clamping=clamping)
            loud = [30000, 9000, 32767, 300, 0, 20000]
            return Case(model, note, steps, [[sound(rng, samples, loud[k % 6]).reshape(1, -1)] for k in range(steps)])

        return make

    yield windows([1, 480], 12)
    yield windows([3, 20], 15)
    yield windows([40], 16, any_weights=True)
    yield windows([2, 2, 17], 14, any_weights=True)
    yield auto_scale(lambda rng: [sound(rng, 33, loud) for loud in (32767, 16384, 16383, 100, 1)], "all scales")
    yield auto_scale(lambda rng: [[0] * 9, [-32768] * 9, [5, -32768, 9, -7, 0, 3, 1, 1, 1], [0, -1] + [0] * 7], "odd")
    yield auto_scale(lambda rng: [[-32768, -7, -9], [-32768, -9, -7], [32767, -32768, 1], [-3, 2, 1]], "after -32768")
    for length in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
        yield transforms(length, length)
    yield transforms(512, 480, loud=32767)
    yield transforms(512, 480, loud=3000)
    yield transforms(64, 50, rows=3)
    yield transforms(2048, 9, loud=32767)
    yield energies(257, 5, 241)
    yield energies(20, 0, 20)
    yield energies(33, 7, 33)
    yield banks(40, 257, 3)
    yield banks(40, 257, 0, any_weights=True)
    yield banks(5, 30, 15)
    yield banks(1, 20, 1)
    yield subtractions(40, (0.025, 0.06), 0.05, 10, 14, clamping=False)
    yield subtractions(40, (0.025, 0.06), 0.05, 10, 14, clamping=True)
    yield subtractions(17, (0.5, 0.25), 0.5, 3, 10, clamping=True, any_numbers=True)
    yield subtractions(17, (0.9, 0.1), 0, 0, 16, clamping=False, shown=1, any_numbers=True)
    yield normalizations(200, 6)
    yield normalizations(200, 12, any_gains=True)
    yield normalizations(33, 0)
    yield logarithms(200, 3, 64)
    yield logarithms(200, 0, 1600)
    yield logarithms(64, 7, 100000)
    yield front_end(480, 512, 40, 5, 241)
    yield front_end(400, 512, 20, 4, 250, clamping=True)
    yield front_end(250, 256, 16, 3, 120, steps=9)
    yield front_end(480, 512, 40, 5, 241, codes=True)
