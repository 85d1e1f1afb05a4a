#ifndef DIGESTS_H
#define DIGESTS_H

#include "tealight.h"

/* Runs inferences of an open session on random inputs, every other one in small slices, and prints a digest of all outputs
 * after the name. Returns the number of failures. */
int print_digest(TealightSession *session, const char *name);

#endif
