/* What the test programs need of the machine that they run on. */

#ifndef PLATFORM_H
#define PLATFORM_H

#ifdef __cplusplus
extern "C" {
#endif

/* Prints a text. */
void platform_print(const char *text);

/* Ends the program: as a success if `failed` is 0. */
void platform_exit(int failed);

/* The program itself, which returns 0 if all went well. */
int test_main(void);

#ifdef __cplusplus
}
#endif

#endif
