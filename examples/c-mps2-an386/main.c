/* A keyword network beside a control loop, in C: two tasks that take turns, on an emulated Cortex-M4F. */

#include "keyword_model.h"
#include "semihosting.h"
#include "tealight.h"

/* The cost that the network may have in a turn, about one multiply-accumulate a unit. */
#define BUDGET 50000

static TealightSession session;
static KEYWORD_ALIGNED uint8_t arena[KEYWORD_ARENA_LENGTH];

static int position = 1000; /* what an encoder would say */
static unsigned turns;
static TealightStatus answer = TEALIGHT_STATUS_PENDING;

/* The control loop: reads a sensor, moves a motor. It runs once a turn, and never waits for the network. */
static void control(void) {
  turns++;
  position -= position / 8;
}

/* The network: as much of an inference as the budget allows. */
static void infer(void) {
  if (answer == TEALIGHT_STATUS_PENDING) {
    answer = tealight_poll(&session, BUDGET);
  }
}

static void (*const tasks[])(void) = {control, infer};

int main(void) {
  TealightStatus status;
  TealightTensor scores;
  const uint8_t *bytes;
  uint8_t *features;
  size_t i, best = 0;
  /* The model is a part of the library. One from elsewhere is opened by tealight_open, which checks it. */
  status = tealight_open_built_in(&session, arena, sizeof arena, NULL, NULL);
  if (status != TEALIGHT_STATUS_OK) {
    print(tealight_status_text(status));
    return 1;
  }
  tealight_input(&session, 0, &features);
  features[0] = 0; /* here a front end writes what a microphone hears */
  while (answer == TEALIGHT_STATUS_PENDING) {
    for (i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
      tasks[i]();
    }
  }
  tealight_output_info(&session, 0, &scores);
  tealight_output(&session, 0, &bytes);
  for (i = 1; i < scores.length; i++) {
    if ((int8_t)bytes[i] > (int8_t)bytes[best]) {
      best = i;
    }
  }
  print("class ");
  print_number((unsigned)best);
  print(" of ");
  print_number((unsigned)scores.length);
  print(", after ");
  print_number(turns);
  print(" turns of the control loop, which is at ");
  print_number((unsigned)position);
  print("\n");
  return answer != TEALIGHT_STATUS_OK;
}
