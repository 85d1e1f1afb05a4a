"""The chips: their memory, and what their registers answer beyond what was written to them.

A register that is not listed reads as it was written, or as 0. Each rule names its register, under which it is found in
its source: RM is a reference manual of STMicroelectronics, PS Nordic's product specification, TRM Espressif's technical
reference manual, DS Raspberry Pi's RP2350 datasheet.
"""

from dataclasses import dataclass, field

from unicorn import arm_const as arm


def ones(mask):
    """These bits are set."""
    return lambda machine, value: value | mask


def follows(*pairs):
    """Of each pair of bits, the first is always equal to the second: ready follows on."""

    def rule(machine, value):
        for ready, on in pairs:
            value = value & ~(1 << ready) | (value >> on & 1) << ready
        return value

    return rule


def received(bit):
    """This bit tells whether a byte has been received."""
    return lambda machine, value: value & ~(1 << bit) | bool(machine.input) << bit


def opposite(register):
    """The bits that are not set in another register, of which all are set at reset."""
    return lambda machine, _: ~machine.registers.get(register, 0xFFFFFFFF) & 0xFFFFFFFF


def selected(register, mask):
    """One bit: the one whose number another register has in these bits."""
    return lambda machine, _: 1 << (machine.registers.get(register, 0) & mask)


def nothing_received(bit):
    """This bit tells that no byte has been received."""
    return lambda machine, value: value & ~(1 << bit) | (not machine.input) << bit


def takes(machine, value):
    """Reads the byte that has been received."""
    return machine.input.take()


@dataclass
class Chip:
    memory: list
    registers: list
    answers: dict
    core: int = 0
    # The register that sends a byte of the console; none if it is RTT.
    sends: int = -1
    rtt: bool = False
    # Registers whose bits are also changed by writes to other addresses: 0x1000 on they are inverted, 0x2000 on set, 0x3000
    # on cleared.
    aliased: range = range(0)
    # First values of registers.
    reset: dict = field(default_factory=dict)
    # Where code is stored that is looked through for unknown registers.
    code: list = field(default_factory=list)
    # Registers of the core that Unicorn lacks.
    csrs: dict = field(default_factory=dict)
    # Addresses of the chip's ROM, whose functions are in `rom.py`.
    rom: range = range(0)


# The system space of an Arm core is memory, except for what `run.py` does with the cycle counter.
SYSTEM = (0xE0000000, 0x100000)

NRF52840 = Chip(
    core=arm.UC_CPU_ARM_CORTEX_M4,
    memory=[(0x00000000, 0x100000), (0x20000000, 0x40000), SYSTEM],
    # FICR and UICR; peripherals of APB and AHB.
    registers=[(0x10000000, 0x10000), (0x40000000, 0x20000000)],
    rtt=True,
    answers={
        0x40000100: [ones(1)],  # CLOCK EVENTS_HFCLKSTARTED (PS, CLOCK registers)
        0x40000104: [ones(1)],  # CLOCK EVENTS_LFCLKSTARTED
        0x4000040C: [ones(0x10001)],  # CLOCK HFCLKSTAT: the crystal, running
        0x4001E400: [ones(1)],  # NVMC READY (PS, NVMC registers)
    },
)

STM32F446 = Chip(
    core=arm.UC_CPU_ARM_CORTEX_M4,
    memory=[(0x08000000, 0x80000), (0x20000000, 0x20000), SYSTEM],
    registers=[(0x40000000, 0x20000000)],
    sends=0x40004404,
    reset={0x40023800: 0x83},
    answers={
        0x40023800: [follows((1, 0), (17, 16), (25, 24), (27, 26), (29, 28))],  # RCC_CR (RM0390)
        0x40023808: [follows((2, 0), (3, 1))],  # RCC_CFGR: SWS follows SW (RM0390)
        0x40023874: [follows((1, 0))],  # RCC_CSR: LSIRDY (RM0390)
        # PWR_CSR: BRR, VOSRDY, ODRDY, ODSWRDY (RM0390)
        0x40007004: [ones(1 << 3 | 1 << 14 | 1 << 16 | 1 << 17)],
        0x40004400: [ones(1 << 6 | 1 << 7), received(5)],  # USART2_SR: TC, TXE, RXNE (RM0390)
        0x40004404: [takes],  # USART2_DR (RM0390)
    },
)

STM32H743 = Chip(
    core=arm.UC_CPU_ARM_CORTEX_M7,
    memory=[
        (0x08000000, 0x200000),
        (0x20000000, 0x20000),
        (0x24000000, 0x80000),
        (0x30000000, 0x48000),
        SYSTEM,
    ],
    registers=[(0x40000000, 0x20000000)],
    sends=0x40004828,
    reset={0x58024400: 0x01},
    answers={
        # RCC_CR: the ready bits, HSIDIVF, D1CKRDY and D2CKRDY (RM0433)
        0x58024400: [follows((2, 0), (8, 7), (13, 12), (17, 16), (25, 24), (27, 26), (29, 28)), ones(0xC020)],
        0x58024410: [follows((3, 0), (4, 1), (5, 2))],  # RCC_CFGR: SWS follows SW (RM0433)
        0x58024474: [follows((1, 0))],  # RCC_CSR: LSIRDY (RM0433)
        0x58024804: [ones(1 << 13)],  # PWR_CSR1: ACTVOSRDY (RM0433)
        0x58024818: [ones(1 << 13)],  # PWR_D3CR: VOSRDY (RM0433)
        # USART3_ISR: TC, TXE, TEACK, REACK, RXNE (RM0433)
        0x4000481C: [ones(1 << 6 | 1 << 7 | 1 << 21 | 1 << 22), received(5)],
        0x40004824: [takes],  # USART3_RDR (RM0433)
    },
)


# The system timer counts 16 MHz, and the core has 160 MHz (TRM, System Timer).
INSTRUCTIONS_PER_TICK = 10

ESP32C3 = Chip(
    memory=[
        (0x40380000, 0x60000),
        (0x3FC80000, 0x60000),
        (0x3C000000, 0x400000),
        (0x42000000, 0x400000),
        (0x40000000, 0x60000),
        (0x3FF00000, 0x20000),
        (0x50000000, 0x2000),
    ],
    registers=[(0x60000000, 0x200000)],
    sends=0x60043000,
    code=[(0x40380000, 0x60000), (0x42000000, 0x400000)],
    csrs={0x7E2: lambda machine: machine.instructions & 0xFFFFFFFF},  # mpccr, the cycle counter (TRM, CPU)
    rom=range(0x40000000, 0x40060000),
    answers={
        # USB_SERIAL_JTAG_EP1_CONF_REG: room to send, a byte received (TRM, USB Serial/JTAG Controller)
        0x60043004: [ones(1 << 1), received(2)],
        0x60043000: [takes],  # USB_SERIAL_JTAG_EP1_REG
        0x60023004: [ones(1 << 29)],  # SYSTIMER_UNIT0_OP_REG: the value is valid (TRM, System Timer)
        0x60023040: [lambda machine, _: machine.instructions // INSTRUCTIONS_PER_TICK >> 32 & 0xFFFFF],
        0x60023044: [lambda machine, _: machine.instructions // INSTRUCTIONS_PER_TICK & 0xFFFFFFFF],
        # TIMG_RTCCALICFG_REG and TIMG_RTCCALICFG1_REG of timer group 0: slow clocks are measured at once (TRM, Timer
        # Group). The value is that of 1,024 cycles at 136 kHz, in cycles of the 40 MHz crystal.
        0x6001F068: [ones(1 << 15)],
        0x6001F06C: [lambda machine, _: 1024 * 40_000_000 // 136_000 << 7],
    },
)

# The core has 150 MHz, and the timer counts microseconds.
INSTRUCTIONS_PER_MICROSECOND = 150

RP2350 = Chip(
    core=arm.UC_CPU_ARM_CORTEX_M33,
    memory=[(0x10000000, 0x400000), (0x20000000, 0x82000), SYSTEM],
    # Peripherals of APB and AHB, and SIO.
    registers=[(0x40000000, 0x20000000), (0xD0000000, 0x40000)],
    sends=0x40070000,
    # Atomic register access (DS, Address map)
    aliased=range(0x40000000, 0x60000000),
    answers={
        0x40020008: [opposite(0x40020000)],  # RESETS RESET_DONE follows RESET (DS, Resets)
        0x40048004: [ones(1 << 31 | 1 << 12)],  # XOSC STATUS: STABLE, ENABLED (DS, Crystal oscillator)
        0x40050000: [ones(1 << 31)],  # PLL_SYS CS: LOCK (DS, PLL)
        0x40058000: [ones(1 << 31)],  # PLL_USB CS: LOCK
        0x40010038: [selected(0x40010030, 0b11)],  # CLOCKS CLK_REF_SELECTED follows SRC of CLK_REF_CTRL (DS, Clocks)
        0x40010044: [selected(0x4001003C, 0b1)],  # CLOCKS CLK_SYS_SELECTED follows SRC of CLK_SYS_CTRL
        # TIMER0 TIMERAWH, TIMERAWL (DS, System timers)
        0x400B0024: [lambda machine, _: machine.instructions // INSTRUCTIONS_PER_MICROSECOND >> 32],
        0x400B0028: [lambda machine, _: machine.instructions // INSTRUCTIONS_PER_MICROSECOND & 0xFFFFFFFF],
        0x40070018: [ones(1 << 7), nothing_received(4)],  # UART0 UARTFR: TXFE, RXFE (DS, UART)
        0x40070000: [takes],  # UART0 UARTDR
    },
)

CHIPS = {
    "nrf52840": NRF52840,
    "stm32f446": STM32F446,
    "stm32h743": STM32H743,
    "rp2350": RP2350,
    "esp32c3": ESP32C3,
}
