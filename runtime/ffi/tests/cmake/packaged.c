/* A program with the packaged library and its model. */

#include "digests.h"
#include "keyword_model.h"
#include "platform.h"
#include "tealight.h"

static TealightSession session;
static KEYWORD_ALIGNED uint8_t arena[KEYWORD_ARENA_LENGTH];

int test_main(void) {
  const TealightStatus status =
      tealight_open(&session, keyword_model, sizeof keyword_model, arena, sizeof arena, NULL, NULL);
  if (status != TEALIGHT_STATUS_OK) {
    platform_print(tealight_status_text(status));
    return 1;
  }
  return print_digest(&session, "packaged");
}
