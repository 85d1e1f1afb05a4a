/* Printing of numbers, for machines without a C library. */

#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

/* Prints 16 hexadecimal digits. */
void print_hex(uint64_t number);

/* Prints a decimal number. */
void print_decimal(int64_t number);

#endif
