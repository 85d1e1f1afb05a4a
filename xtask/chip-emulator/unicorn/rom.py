"""Functions of the ESP32-C3's ROM, by the names that esp-hal's linker scripts give their addresses.

Arithmetic is what libgcc defines under these names (GCC Internals, chapter 4): a 32-bit number is in one of a0 to a7,
one of 64 bits in two of them, and so is the result. Every f32 result is rounded once: the f64 that Python computes with
has more than twice the bits, so that rounding it again makes no difference.
"""

import math
import struct

WORD, LONG = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF

PACK = {code: struct.Struct("<" + code).pack for code in "fd"}


def signed(value, bits):
    return value - (1 << bits) if value >> bits - 1 else value


def to_float(word, code):
    size = struct.calcsize(code)
    return struct.unpack("<" + code, word.to_bytes(size, "little"))[0]


def from_float(value, code):
    if value != value:
        return 0x7FC00000 if code == "f" else 0x7FF8000000000000
    pack = PACK[code]
    try:
        data = pack(value)
    except OverflowError:
        data = pack(math.copysign(math.inf, value))
    return int.from_bytes(data, "little")


def divided(a, b):
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def from_integer(value, code):
    """The nearest number, of two the even one."""
    keep = 24 if code == "f" else 53
    magnitude = abs(value)
    drop = max(magnitude.bit_length() - keep, 0)
    kept, rest = magnitude >> drop, magnitude & (1 << drop) - 1
    half = 1 << drop >> 1
    kept += drop > 0 and (rest > half or rest == half and kept & 1)
    return from_float(math.copysign(float(kept << drop), value), code)


def to_integer(value, low, high):
    """Towards zero. Beyond the ends of the range, the end; libgcc leaves that open."""
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return high if value > 0 else low
    return max(low, min(high, int(value)))


def quotient(a, b):
    """Of integers, towards zero; by zero all bits are set, as the core's own division has it."""
    if b == 0:
        return -1
    magnitude = abs(a) // abs(b)
    return magnitude if (a < 0) == (b < 0) else -magnitude


def remainder(a, b):
    return a - quotient(a, b) * b if b else a


def lowest(value, bits):
    return (value & -value).bit_length() - 1 if value else bits


ARITHMETIC = {}


def arithmetic(name, takes, returns):
    """Adds a function. `takes` and `returns` are codes of numbers: i and l are signed, of 32 and 64 bits, I and L are
    not; f and d are floating point."""

    def add(function):
        ARITHMETIC[name] = (takes, returns, function)

    return add


for suffix, code in (("sf", "f"), ("df", "d")):
    arithmetic(f"__add{suffix}3", code * 2, code)(lambda a, b: a + b)
    arithmetic(f"__sub{suffix}3", code * 2, code)(lambda a, b: a - b)
    arithmetic(f"__mul{suffix}3", code * 2, code)(lambda a, b: a * b)
    arithmetic(f"__div{suffix}3", code * 2, code)(divided)
    for names, unordered in (("eq ne lt le", 1), ("gt ge", -1)):
        for name in names.split():
            arithmetic(f"__{name}{suffix}2", code * 2, "i")(
                lambda a, b, unordered=unordered: unordered if a != a or b != b else (a > b) - (a < b)
            )
    arithmetic(f"__unord{suffix}2", code * 2, "i")(lambda a, b: int(a != a or b != b))
    for integer, bits in (("si", 32), ("di", 64)):
        s, u = ("i", "I") if bits == 32 else ("l", "L")
        half, whole = 1 << bits - 1, (1 << bits) - 1
        arithmetic(f"__fix{suffix}{integer}", code, s)(lambda a, half=half: to_integer(a, -half, half - 1))
        arithmetic(f"__fixuns{suffix}{integer}", code, u)(lambda a, whole=whole: to_integer(a, 0, whole))
        arithmetic(f"__float{integer}{suffix}", s, code.upper())(lambda a, code=code: from_integer(a, code))
        arithmetic(f"__floatun{integer}{suffix}", u, code.upper())(lambda a, code=code: from_integer(a, code))
arithmetic("__extendsfdf2", "f", "d")(lambda a: a)
arithmetic("__truncdfsf2", "d", "f")(lambda a: a)
for integer, bits in (("si", 32), ("di", 64)):
    s, u = ("i", "I") if bits == 32 else ("l", "L")
    arithmetic(f"__mul{integer}3", u * 2, u)(lambda a, b: a * b)
    arithmetic(f"__div{integer}3", s * 2, s)(quotient)
    arithmetic(f"__mod{integer}3", s * 2, s)(remainder)
    arithmetic(f"__udiv{integer}3", u * 2, u)(quotient)
    arithmetic(f"__umod{integer}3", u * 2, u)(remainder)
    arithmetic(f"__ashl{integer}3", u + "I", u)(lambda a, count: a << count)
    arithmetic(f"__lshr{integer}3", u + "I", u)(lambda a, count: a >> count)
    arithmetic(f"__ashr{integer}3", s + "I", s)(lambda a, count: a >> count)
    arithmetic(f"__clz{integer}2", u, "i")(lambda a, bits=bits: bits - a.bit_length())
    arithmetic(f"__ctz{integer}2", u, "i")(lambda a, bits=bits: lowest(a, bits))
    arithmetic(f"__popcount{integer}2", u, "i")(lambda a: bin(a).count("1"))

# They wait for or set what is not emulated, and their result, if there is one, is 0.
WITHOUT_EFFECT = {
    "esp_rom_regi2c_read",
    "ets_delay_us",
    "ets_update_cpu_frequency",
    "rom_i2c_readReg",
    "rom_i2c_writeReg",
}


def memset(core, to, byte, length):
    core.mem_write(to, bytes([byte & 0xFF]) * length)


def memcpy(core, to, source, length):
    core.mem_write(to, bytes(core.mem_read(source, length)))


def memcmp(core, first, second, length):
    first, second = (bytes(core.mem_read(at, length)) for at in (first, second))
    return ((first > second) - (first < second) & WORD,)


# What takes three words and the core's memory.
MEMORY = {"memset": memset, "memcpy": memcpy, "memmove": memcpy, "memcmp": memcmp}


class Rom:
    """The functions of the ROM that an image may call: those of its symbols that are in the ROM."""

    def __init__(self, symbols, addresses, registers):
        self.registers, self.names, self.functions = registers, {}, {}
        for name, address in symbols.items():
            if address in addresses:
                self.names.setdefault(address, []).append(name)
                if function := self.function(name):
                    self.functions[address] = function

    def function(self, name):
        """The function of a name, for a core; `None` if there is none here."""
        if name in ARITHMETIC:
            takes, returns, function = ARITHMETIC[name]
            count = sum(2 if code in "lLd" else 1 for code in takes)
            return self.with_words(count, lambda _, *words: compute(takes, returns, function, words))
        if name in MEMORY:
            return self.with_words(3, MEMORY[name])
        if name == "rtc_get_reset_reason":
            return self.with_words(0, lambda _: (1,))  # power on
        return self.with_words(0, lambda _: (0,)) if name in WITHOUT_EFFECT else None

    def with_words(self, count, function):
        """Has the first registers of arguments read before a function, and its result, if it has one, written."""
        registers = self.registers[:count]

        def call(core):
            result = function(core, *map(core.reg_read, registers))
            for register, word in zip(self.registers, result or ()):
                core.reg_write(register, word)

        return call

    def call(self, core, address):
        """Does what the function at an address does. Returns `None`, or what is wrong: an answer would be wrong too."""
        function = self.functions.get(address)
        if function is None:
            name = " or ".join(self.names.get(address, ["a function"]))
            return f"the image calls {name} of the chip's ROM, at {address:#010x}, which is not emulated"
        function(core)
        return None


# Most calls are of functions of two f32.
TWO_FLOATS, TWO_WORDS = struct.Struct("<ff"), struct.Struct("<II")


def compute(takes, returns, function, words):
    """The words of a result, from those of the arguments."""
    if takes == "ff":
        values = TWO_FLOATS.unpack(TWO_WORDS.pack(*words))
    else:
        values = numbers(takes, words)
    value = function(*values)
    # F and D: the function has rounded by itself.
    if returns in "fd":
        value = from_float(value, returns)
    if returns in "dDlL":
        value &= LONG
        return value & WORD, value >> 32
    return (value & WORD,)


def numbers(takes, words):
    """The arguments of a function."""
    values = []
    for code in takes:
        long = code in "lLd"
        word = words[0] | words[1] << 32 if long else words[0]
        words = words[2:] if long else words[1:]
        if code in "fd":
            values.append(to_float(word, code))
        else:
            values.append(signed(word, 64 if long else 32) if code in "il" else word)
    return values
