/* Semihosting: a program on an emulated board prints and ends through the emulator. The board's file has the trap. */

#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

/* Asks the host: an operation, and the address of its parameters, or one parameter. */
uintptr_t semihosting_call(uintptr_t operation, uintptr_t parameter);

#endif
