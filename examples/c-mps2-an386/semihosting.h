/* Text on the console of the emulator. */

#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

/* Prints a text. */
void print(const char *text);

/* Prints a decimal number. */
void print_number(unsigned number);

#endif
