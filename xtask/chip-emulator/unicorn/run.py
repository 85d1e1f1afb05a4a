"""Runs a board's firmware on an emulated chip: `run.py CHIP IMAGE`, with Unicorn in PYTHONPATH.

What the chip sends on its console goes to stdout, and stdin goes to it. Nothing ends a run but who started it: firmware
for a wire has no way to say that it is done, except in what it sends.

Unicorn emulates cores and memory. What it has of a chip besides is in `chips.py`, as data.
"""

import os
import struct
import sys
import threading
import time

import unicorn
from unicorn import arm_const as arm
from unicorn import riscv_const as riscv

from chips import CHIPS
from rom import Rom

ARM, RISCV = 40, 243  # e_machine


class Image:
    """A linked image: the pieces that are stored, its entry point and its symbols (System V ABI, chapters 4 and 5)."""

    def __init__(self, elf):
        if elf[:6] != b"\x7fELF\x01\x01":
            sys.exit("it is no 32-bit little-endian ELF file")
        _, self.machine, _, self.entry, programs, sections = struct.unpack_from("<HHIIII", elf, 16)
        size, count, section_size, section_count = struct.unpack_from("<HHHH", elf, 42)
        self.pieces = []
        for at in range(programs, programs + count * size, size):
            kind, offset, address, stored_at, length = struct.unpack_from("<IIIII", elf, at)
            if kind == 1 and length:
                self.pieces.append((address, stored_at, elf[offset : offset + length]))
        self.symbols = {}
        table = [struct.unpack_from("<10I", elf, sections + i * section_size) for i in range(section_count)]
        for _, kind, _, _, offset, length, link, *_ in table:
            if kind != 2:
                continue
            names = table[link][4]
            for at in range(offset, offset + length, 16):
                name, value = struct.unpack_from("<II", elf, at)
                self.symbols[elf[names + name : elf.index(b"\0", names + name)].decode()] = value


class Input:
    """What is received, read from stdin by a thread."""

    def __init__(self):
        self.bytes = bytearray()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while piece := os.read(0, 4096):
            self.bytes += piece

    def __bool__(self):
        return bool(self.bytes)

    def take(self):
        return self.bytes.pop(0) if self.bytes else 0


class Machine:
    """A chip that runs an image."""

    def __init__(self, chip, image):
        self.chip, self.image, self.input = chip, image, Input()
        self.registers, self.instructions, self.lengths = dict(chip.reset), 0, {}
        self.rtt, self.blocks = image.symbols.get("_SEGGER_RTT") if chip.rtt else None, 0
        if image.machine == ARM:
            self.core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
            self.core.ctl_set_cpu_model(chip.core)
            self.pc, self.sp = arm.UC_ARM_REG_PC, arm.UC_ARM_REG_SP
        elif image.machine == RISCV:
            self.core = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
            self.pc, self.sp = riscv.UC_RISCV_REG_PC, riscv.UC_RISCV_REG_SP
        for base, size in chip.memory:
            self.core.mem_map(base, size)
        for base, size in chip.registers:
            self.core.mmio_map(base, size, self.read, base, self.write, base)
        for address, stored_at, data in image.pieces:
            self.core.mem_write(stored_at if image.machine == ARM else address, data)
        if chip.rom:
            # Every function returns: `ret`.
            size = len(chip.rom)
            self.rom = Rom(image.symbols, chip.rom, ARGUMENTS)
            self.core.mem_write(chip.rom.start, struct.pack("<I", 0x00008067) * (size // 4))
        self.core.hook_add(unicorn.UC_HOOK_BLOCK, self.block)

    def block(self, core, address, size, _):
        """Before a block of instructions is executed: counts them, and polls RTT."""
        length = self.lengths.get((address, size))
        if length is None:
            length = self.lengths[address, size] = self.count(bytes(core.mem_read(address, size)))
        self.instructions += length
        if address in self.chip.rom and (wrong := self.rom.call(core, address)):
            print(wrong, file=sys.stderr, flush=True)
            os._exit(1)
        if self.rtt:
            self.blocks += 1
            if self.blocks % 256 == 0:
                self.poll()

    def count(self, code):
        """The number of instructions in a block."""
        at = count = 0
        while at < len(code):
            first = int.from_bytes(code[at : at + 2], "little")
            # Arm v7-M Architecture Reference Manual, A5.1; RISC-V Unprivileged Architecture, 1.5.
            wide = first >> 11 >= 0b11101 if self.image.machine == ARM else first & 3 == 3
            at += 4 if wide else 2
            count += 1
        return count

    def read(self, _, offset, size, base):
        address, _ = self.unaliased(base + offset)
        word = address & ~3
        value = self.registers.get(word, 0)
        for rule in self.chip.answers.get(word, ()):
            value = rule(self, value)
        return value >> 8 * (address & 3) & (1 << 8 * size) - 1

    def write(self, _, offset, size, value, base):
        address, change = self.unaliased(base + offset)
        if change:
            value = change(self.registers.get(address, 0), value)
        if address == self.chip.sends:
            send(bytes([value & 0xFF]))
        elif size == 4:
            self.registers[address] = value
        else:
            mask = (1 << 8 * size) - 1 << 8 * (address & 3)
            word = address & ~3
            self.registers[word] = self.registers.get(word, 0) & ~mask | value << 8 * (address & 3) & mask

    def unaliased(self, address):
        """The address of the register, and how a write there changes its bits, unless it replaces them."""
        if address not in self.chip.aliased:
            return address, None
        return address & ~0x3000, CHANGES[address >> 12 & 3]

    def poll(self):
        """Reads and writes the buffers of SEGGER's Real-Time Transfer, as a debugger does."""
        head = bytes(self.core.mem_read(self.rtt, 24))
        if head[:10] != b"SEGGER RTT":
            return
        ups = struct.unpack_from("<I", head, 16)[0]
        up, down = self.rtt + 24, self.rtt + 24 + 24 * ups
        _, buffer, length, written, read, flags = struct.unpack("<6I", self.core.mem_read(up, 24))
        if flags & 3 != 2:
            # While somebody reads, the firmware waits for room.
            self.core.mem_write(up + 20, struct.pack("<I", flags & ~3 | 2))
        if written != read and written < length:
            data = bytes(self.core.mem_read(buffer, length))
            send(data[read:written] if read < written else data[read:] + data[:written])
            self.core.mem_write(up + 16, struct.pack("<I", written))
        if self.input:
            _, buffer, length, written, read, _ = struct.unpack("<6I", self.core.mem_read(down, 24))
            while self.input and (written + 1) % length != read:
                self.core.mem_write(buffer + written, bytes([self.input.take()]))
                written = (written + 1) % length
            self.core.mem_write(down + 12, struct.pack("<I", written))

    def run(self):
        if self.image.machine == ARM:
            vectors = min(stored_at for _, stored_at, _ in self.image.pieces)
            stack, start = struct.unpack("<II", self.core.mem_read(vectors, 8))
            self.core.reg_write(self.sp, stack)
            self.hard_fault = struct.unpack("<I", self.core.mem_read(vectors + 12, 4))[0]
            # The cycle counter: an instruction is a cycle (Arm v7-M Architecture Reference Manual, C1.8.8).
            self.core.hook_add(unicorn.UC_HOOK_MEM_READ, self.cycles, None, 0xE0001004, 0xE0001007)
        else:
            start = self.image.entry
            self.without_unknown_csrs()
        while True:
            try:
                self.core.emu_start(start | (self.image.machine == ARM), 0xFFFFFFFF)
                return
            except unicorn.UcError as error:
                at = self.core.reg_read(self.pc)
                start = self.arm_goes_on(error, at) if self.image.machine == ARM else self.riscv_goes_on(error, at)

    def cycles(self, core, *_):
        core.mem_write(0xE0001004, struct.pack("<I", self.instructions & 0xFFFFFFFF))

    def arm_goes_on(self, error, at):
        """The address to go on at after what Unicorn leaves to others."""
        try:
            first = bytes(self.core.mem_read(at, 2))
        except unicorn.UcError:
            first = b""
        if first in HINTS:
            # The core waits. Unicorn ends there, with an error.
            self.wait()
            return at + 2
        # A hard fault: its frame is pushed, where there is memory for it (Arm v7-M Architecture Reference Manual,
        # B1.5.6).
        names = "R0 R1 R2 R3 R12 LR".split()
        frame = [self.core.reg_read(getattr(arm, f"UC_ARM_REG_{name}")) for name in names]
        frame += [at, self.core.reg_read(arm.UC_ARM_REG_XPSR)]
        stack = self.core.reg_read(self.sp) - 32 & ~7
        try:
            self.core.mem_write(stack, struct.pack("<8I", *frame))
        except unicorn.UcError:
            pass
        self.core.reg_write(self.sp, stack)
        self.core.reg_write(arm.UC_ARM_REG_LR, 0xFFFFFFF9)
        return self.hard_fault & ~1

    def riscv_goes_on(self, error, at):
        """The same: an unknown register, or a trap (RISC-V Privileged Architecture, 3.1)."""
        try:
            word = struct.unpack("<I", self.core.mem_read(at, 4))[0]
        except unicorn.UcError:
            word = 0
        if word & 0x7F == 0x73 and word >> 12 & 7:
            register, target = word >> 20, word >> 7 & 31
            if target:
                self.core.reg_write(riscv.UC_RISCV_REG_X0 + target, self.chip.csrs.get(register, lambda _: 0)(self))
            return at + 4
        causes = {unicorn.UC_ERR_READ_UNMAPPED: 5, unicorn.UC_ERR_WRITE_UNMAPPED: 7, unicorn.UC_ERR_FETCH_UNMAPPED: 1}
        self.core.reg_write(riscv.UC_RISCV_REG_MEPC, at)
        self.core.reg_write(riscv.UC_RISCV_REG_MCAUSE, causes.get(error.errno, 2))
        return self.core.reg_read(riscv.UC_RISCV_REG_MTVEC) & ~3

    def without_unknown_csrs(self):
        """Makes writes to registers of memory protection and of triggers, which Unicorn does not have as the chip has
        them, do nothing. Their effect is on faults alone."""
        for address, _, data in self.image.pieces:
            if not any(base <= address < base + size for base, size in self.chip.code):
                continue
            code = bytearray(data)
            for at in range(0, len(code) - 3, 2):
                word = int.from_bytes(code[at : at + 4], "little")
                register, target = word >> 20, word >> 7 & 31
                unknown = 0x3A0 <= register <= 0x3EF or 0x7A0 <= register <= 0x7A8
                if word & 0x7F == 0x73 and word >> 12 & 3 and unknown:
                    code[at : at + 4] = (0x13 | target << 7).to_bytes(4, "little")  # li target, 0
            self.core.mem_write(address, bytes(code))

    def wait(self):
        """The core waits for something: for its wire, or at its end."""
        if self.rtt:
            self.poll()
        if not self.input:
            self.waits = getattr(self, "waits", 0) + 1
            if self.waits > 1000:
                time.sleep(0.001)


# The registers of a function's arguments, a0 to a7.
ARGUMENTS = [riscv.UC_RISCV_REG_X10 + index for index in range(8)]

# What a write to an alias of a register does to its bits.
CHANGES = (None, lambda old, new: old ^ new, lambda old, new: old | new, lambda old, new: old & ~new)

# yield, wfi and wfe.
HINTS = (b"\x10\xbf", b"\x30\xbf", b"\x20\xbf")


def send(data):
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(0)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in CHIPS:
        print(f"usage: run.py {'|'.join(CHIPS)} IMAGE", file=sys.stderr)
        sys.exit(2)
    with open(sys.argv[2], "rb") as file:
        image = Image(file.read())
    Machine(CHIPS[sys.argv[1]], image).run()


if __name__ == "__main__":
    main()
