/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "backends.h"
#include "model.h"

/*
 * The parts of the model:
 *
 * model-files.c    the files that are open, their readiness, and the steps that only change files
 * model-rules.c    the rules: the state of a selector, and the expected results
 * model-compare.c  compares a selector with the rules
 * model-keys.c     steps that register, change and look up keys
 * model-waits.c    steps that wait, and the life of a selector
 * model.c          sequences of steps
 */

#define BOTH ((SelEventMask) (SEL_EVENT_READ | SEL_EVENT_WRITE))

/* The descriptors that the steps use. They are around the end of the first word of an fd_set. */
#define FIRST_FD 58
#define N_FDS 12

#define N_OBJECTS 4
#define SOCKET_OBJECT 3
#define N_DATA 4

typedef enum
{
  PIPE_READ,
  PIPE_WRITE,
  SOCKET,
  EVENTFD,
  REGULAR
} Kind;

typedef struct
{
  Kind kind;
  guint n_refs;              /* number of descriptors */
  guint peer;                /* index of the other end of a pipe or of a pair of sockets */
  guint n_bytes;             /* bytes that put steps have written, and that can be read */
  gboolean full;             /* the buffer has no room for writes at the other end */
  gboolean cannot_read;      /* the socket is shut down for reading */
  gboolean cannot_write;     /* the socket is shut down for writing */
  gboolean shut_write;       /* by its own shutdown (), not by the one of its peer */
} File;

typedef struct
{
  GArray *files;
  int numbers[N_FDS];        /* index of the file of each descriptor, -1 if the descriptor is closed */
  gboolean shut_both_is_ready;   /* see system-facts.h */
  gboolean shut_write_is_ready;
  gboolean has_two_way_pipes;
} World;

typedef enum
{
  NO,
  MAYBE,
  YES
} Certainty;

/* The state that the model expects of a registration, and of the kernel for it. */
typedef struct
{
  gboolean registered;
  SelEventMask events;
  guint data;
  guint value;               /* number in the GValue that replaces the data, 0 without one */
  int object;                /* index of the file object, -1 if only a descriptor was registered */
  guint64 order;             /* grows with each registration */
  Certainty armed;           /* YES if the kernel waits for the file */
  int armed_file;            /* the file that the kernel waits for */
  gboolean always_ready;     /* the kernel refused the file, and the selector emulates it */
  gboolean may_be_refused;   /* the kernel was asked again for a pipe without a reader, which may be emulated now */
  gboolean stale;            /* the descriptor was closed after it was registered */
} Key;

typedef struct
{
  int fd;
  SelEventMask events;
} Ready;

/* A selector, and the state that the model expects of it. */
typedef struct
{
  const Backend *backend;
  gboolean ends_pipes_once;
  guint number;
  SelBaseSelector *selector;
  GMainContext *context;     /* NULL if the sequence has no main loop */
  GArray *called;            /* elements are Ready: the calls of the callback */

  Key keys[N_FDS];
  guint64 last_order;
  gboolean closed;
  gboolean emulate;
  Certainty wakeup;
  gboolean may_linger;       /* BACKEND_BY_FILE: the kernel may still wait for a file without a key */

  int live[N_DATA];          /* number of data of each kind that the selector has not freed */
} Twin;

typedef struct
{
  World world;
  Twin twins[N_BACKENDS];
  guint n_twins;
  GObject *objects[N_OBJECTS]; /* each is a ModelFile, but the last one is a GSocket, or NULL before it is created */
  gboolean with_loop;
  gboolean force_mirrored;
  char *difference;          /* the first difference, or NULL */
} Model;

/* A step is four bytes, as they are in a sequence. The meaning of a, b and c depends on the operation. */
typedef struct
{
  guint8 op;
  guint8 a;
  guint8 b;
  guint8 c;
} Step;

/* The changes of files. SELECTOR stands for the steps that are done with each selector. */
typedef enum
{
  SELECTOR,
  OPEN_PIPE,
  OPEN_SOCKETS,
  OPEN_EVENTFD,
  OPEN_REGULAR,
  CLOSE_NUMBER,
  DUPLICATE,
  PUT,
  FILL,
  DRAIN,
  SHUT_DOWN,
  SET_OBJECT
} FileStep;

/* An error as one number: 0 for success, an errno, or a larger number for other errors. */
typedef int Outcome;

#define OWN(code) (10000 + SEL_SELECTOR_ERROR_##code)
#define CANCELLED 20000

/* model-files.c */

#define FILE_TYPE (model_file_get_type ())
G_DECLARE_FINAL_TYPE (ModelFile, model_file, MODEL, FILE, GObject)

/* Returns the descriptor of a step. Few steps have a number that is not one of the model. */
int step_fd (guint8 a);

/* Returns the index of a descriptor of the model, or -1. */
int index_of_fd (int fd);

/* Returns the index of the file of a descriptor, or -1. */
int file_of_fd (const World *world,
                int          fd);

/* Returns NULL for a negative index. */
File *world_file (const World *world,
                  int          index);

SelEventMask world_readiness (const World *world,
                              int          index);

int model_object_of_step (const Model *model,
                          guint8       a);

int model_object_fd (const Model *model,
                     int          object);

/* Closes the socket. If its descriptor was closed or reused before, it closes the file that has the number now. */
void model_close_socket (Model *model);

void model_do_files (Model   *model,
                     FileStep file_step,
                     Step     step);

/* model-rules.c */

extern Twin *twin_of_cell[N_BACKENDS];

gpointer twin_data (Twin  *twin,
                    guint  data);

void twin_free_data (gpointer pointer);

/* Returns NULL if @fd is not registered. */
Key *twin_key (Twin *twin,
               int   fd);

void twin_remove (Twin        *twin,
                  const World *world,
                  Key         *key,
                  int          fd);

void twin_rearm_all (Twin        *twin,
                     const World *world);

void twin_notice_close (Twin *twin,
                        int   i);

void twin_expect (Twin         *twin,
                  const World  *world,
                  SelEventMask  required[N_FDS],
                  SelEventMask  allowed[N_FDS]);

void twin_notice_ends (Twin        *twin,
                       const World *world);

void twin_notice_closed (Twin        *twin,
                         const World *world,
                         gboolean     all);

/* Returns the number of keys. @fds gets their descriptors in the order of registration. */
guint twin_list_keys (Twin *twin,
                      int   fds[N_FDS]);

/* These functions change the state like the function of the library, and return the expected result. */

Outcome twin_register (Model        *model,
                       Twin         *twin,
                       int           fd,
                       int           object,
                       SelEventMask  events,
                       guint         data,
                       guint         value);

Outcome twin_find (Twin  *twin,
                   int    fd,
                   Key  **key);

/* @data is -1 if the data does not change. */
Outcome twin_modify (Model        *model,
                     Twin         *twin,
                     int           fd,
                     SelEventMask  events,
                     int           data,
                     guint         value);

Outcome twin_refresh (Model *model,
                      Twin  *twin,
                      int    fd);

int twin_resolve (Model *model,
                  Twin  *twin,
                  int    object);

/* model-compare.c. These functions return FALSE if there is a difference. */

/* Stores a difference, but only the first one. Always returns FALSE. */
gboolean differ (Model      *model,
                 const Twin *twin,
                 const char *format,
                 ...) G_GNUC_PRINTF (3, 4);

/* Clears the error. A result that contradicts the error is a negative number. */
Outcome outcome_of (gboolean  success,
                    GError  **error);

gboolean compare_outcome (Model   *model,
                          Twin    *twin,
                          Outcome  got,
                          Outcome  expected);

gboolean compare_key (Model          *model,
                      Twin           *twin,
                      SelSelectorKey *key,
                      int             fd);

gboolean compare_keys (Model     *model,
                       Twin      *twin,
                       GPtrArray *keys,
                       const int *fds,
                       guint      n_fds);

/* Compares the size of the mapping, the key of @fd, and the number of live data. */
gboolean compare_state (Model *model,
                        Twin  *twin,
                        int    fd);

guint count_masks (const SelEventMask masks[N_FDS]);

/* Every required event must be reported if there is room for it. No other than an allowed event may be reported, and no
 * descriptor twice. */
gboolean compare_ready (Model              *model,
                        Twin               *twin,
                        const Ready        *ready,
                        gssize              n_ready,
                        gsize               room,
                        const SelEventMask  required[N_FDS],
                        const SelEventMask  allowed[N_FDS]);

/* model-keys.c */

SelEventMask step_events (guint8 b);

void do_register (Model *model,
                  Twin  *twin,
                  Step   step);

void do_unregister (Model *model,
                    Twin  *twin,
                    Step   step);

void do_modify (Model *model,
                Twin  *twin,
                Step   step);

void do_refresh (Model *model,
                 Twin  *twin,
                 Step   step);

void do_get_key (Model *model,
                 Twin  *twin,
                 Step   step);

void do_map (Model *model,
             Twin  *twin,
             Step   step);

void do_check (Model *model,
               Twin  *twin,
               Step   step);

void do_object (Model *model,
                Twin  *twin,
                Step   step);

/* model-waits.c */

typedef enum
{
  LIST,
  ARRAY,
  NUMBERS
} Form;

void do_select (Model *model,
                Twin  *twin,
                Step   step);

void do_dispatch (Model *model,
                  Twin  *twin,
                  Step   step);

void do_wakeup (Model *model,
                Twin  *twin,
                Step   step);

void do_set_emulate (Model *model,
                     Twin  *twin,
                     Step   step);

void do_reinit (Model *model,
                Twin  *twin,
                Step   step);

void twin_open (Model *model,
                Twin  *twin);

void twin_close (Model *model,
                 Twin  *twin);

void do_close (Model *model,
               Twin  *twin,
               Step   step);
