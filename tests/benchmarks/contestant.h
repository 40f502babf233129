/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  BENCHMARK_READ = 1,
  BENCHMARK_WRITE = 2
} BenchmarkEvents;

/* The largest number of events that one call returns to a contestant that takes an array. */
#define BENCHMARK_BATCH 1024

typedef struct _Contestant Contestant;

/* A way to wait for descriptors. A function that returns gboolean returns FALSE if the system refuses. */
struct _Contestant
{
  const char *name;
  const void *variant;         /* for functions that serve several contestants */
  guint max_fds;               /* with more, setting up alone takes minutes; 0: no limit */

  gpointer (*open)   (const Contestant *contestant);
  gboolean (*add)    (gpointer          self,
                      int               fd,
                      BenchmarkEvents   events);
  gboolean (*modify) (gpointer          self,
                      int               fd,
                      BenchmarkEvents   events);
  void     (*remove) (gpointer          self,
                      int               fd);
  /* Waits or polls, and calls contestant_handle () for each ready descriptor. */
  void     (*turn)   (gpointer          self,
                      gboolean          block);
  /* TRUE if changes reach the kernel in turn () only. */
  gboolean changes_wait;
  void     (*close)  (gpointer          self);
};

extern const Contestant bare_contestants[];
extern const Contestant glib_contestants[];
extern const Contestant sel_contestants[];
extern const Contestant libev_contestants[];
extern const Contestant libevent_contestants[];
extern const Contestant libuv_contestants[];

/* The data that contestants keep for each descriptor, as the user of a library has to. */
#define CONTESTANT_MAX_FD (1 << 20)

typedef struct
{
  gsize n_events;
  gboolean consume;            /* TRUE if the handler reads the data of its descriptor */
} ContestantStats;

extern ContestantStats contestant_stats;

void contestant_consume (int fd);

/* The handler of all descriptors. */
static inline void
contestant_handle (int fd)
{
  contestant_stats.n_events++;
  if (contestant_stats.consume)
    contestant_consume (fd);
}

G_END_DECLS
