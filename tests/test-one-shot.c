/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif
#ifdef HAVE_LINUX_PERF_EVENT_H
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#endif

#include "backends.h"

/* Files that tell their news only once, to whoever polls them first. /proc/self/mountinfo has an error condition after
 * each mount, which means that it can be written for a selector. A perf event can be read after each event. A context
 * polls each descriptor here, and each consumer must hear of the news exactly once. If the process may not mount
 * anything, or a case needs to know which poll () comes first, a GPollFunc stands for the kernel. */

static char *mount_point;      /* NULL: mounting is not allowed */
#ifdef __linux__
static gboolean is_mounted;
#endif
static gboolean is_perf;
static gboolean is_simulated;
static int simulated_fd;
static gboolean has_news;

static int
poll_simulated (GPollFD *fds,
                guint    n_fds,
                int      timeout)
{
  int n = g_poll (fds, n_fds, has_news ? 0 : timeout);

  for (guint i = 0; has_news && i < n_fds; i++)
    {
      if (fds[i].fd != simulated_fd)
        continue;

      n += fds[i].revents == 0;
      fds[i].revents |= G_IO_ERR | G_IO_PRI;
      has_news = FALSE;
    }

  return n;
}

#ifdef HAVE_LINUX_PERF_EVENT_H

/* An event that counts the page faults of this thread. */
static int perf_fd;
static struct perf_event_mmap_page *perf_page;

/* Returns -1 if this process may not have one. */
static int
open_perf_event (void)
{
  struct perf_event_attr attributes = { .size = sizeof attributes, .type = PERF_TYPE_SOFTWARE,
                                        .config = PERF_COUNT_SW_PAGE_FAULTS, .sample_period = 1, .wakeup_events = 1,
                                        .disabled = 1, .exclude_kernel = 1 };

  perf_fd = (int) syscall (SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (perf_fd < 0)
    return -1;

  perf_page = mmap (NULL, 2 * (gsize) getpagesize (), PROT_READ | PROT_WRITE, MAP_SHARED, perf_fd, 0);
  if (perf_page == MAP_FAILED)
    {
      close (perf_fd);
      return -1;
    }

  return perf_fd;
}

static void
unmap_perf_event (void)
{
  g_assert_no_errno (munmap (perf_page, 2 * (gsize) getpagesize ()));
}

static void
make_page_fault (void)
{
  char *page = mmap (NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  g_assert_true (page != MAP_FAILED);
  g_assert_no_errno (ioctl (perf_fd, PERF_EVENT_IOC_ENABLE, 0));
  *(volatile char *) page = 1;
  g_assert_no_errno (ioctl (perf_fd, PERF_EVENT_IOC_DISABLE, 0));
  munmap (page, 1);
}

#endif

static void
make_news (void)
{
  if (is_simulated)
    {
      has_news = TRUE;
      return;
    }

#ifdef HAVE_LINUX_PERF_EVENT_H
  if (is_perf)
    {
      make_page_fault ();
      return;
    }
#endif

#ifdef __linux__
  if (is_mounted)
    g_assert_no_errno (umount (mount_point));
  else
    g_assert_no_errno (mount ("tmpfs", mount_point, "tmpfs", 0, NULL));
  is_mounted = !is_mounted;
#endif
}

/* What the file is ready for when it has news. */
static SelEventMask
get_news_events (void)
{
  return is_perf ? SEL_EVENT_READ : SEL_EVENT_WRITE;
}

static int
open_file (void)
{
#ifdef HAVE_LINUX_PERF_EVENT_H
  if (is_perf)
    return open_perf_event ();
#endif

  return open ("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

typedef struct
{
  BackendFixture  *fixture;
  SelBaseSelector *selector;
  GMainContext    *context;
  GSource         *source;   /* NULL if there is none */
  int              file;
  int              pipe[2];
  guint            n_news;   /* how often a consumer was told about the file */
  guint            n_bytes;  /* ... about the pipe */
  gboolean         runs_loop; /* the consumer of the pipe makes news and runs a loop */
  gboolean         loops_in_news; /* the consumer of the file does so */
  int              is_waiting; /* atomic: the thread that waits has begun */
  SelReadyEvent    told;     /* what it was told */
} Loop;

static void
loop_open (Loop           *loop,
           BackendFixture *fixture,
           gboolean        pipe_first)
{
  *loop = (Loop) { .fixture = fixture, .selector = fixture->selector, .context = g_main_context_new () };
  g_main_context_push_thread_default (loop->context);
  g_main_context_set_poll_func (loop->context, poll_simulated);
  if (pipe_first)
    open_pipe (loop->pipe);
  loop->file = open_file ();
  g_assert_cmpint (loop->file, >=, 0);
  if (!pipe_first)
    open_pipe (loop->pipe);
  simulated_fd = loop->file;
  has_news = FALSE;
}

static void
loop_attach (Loop        *loop,
             GSource     *source,
             GSourceFunc  func)
{
  loop->source = source;
  if (func != NULL)
    g_source_set_callback (source, func, loop, NULL);
  g_source_attach (source, loop->context);
}

static void
loop_close (Loop *loop)
{
  if (loop->source != NULL)
    g_source_destroy (loop->source);
  g_clear_pointer (&loop->source, g_source_unref);
  unwatch (loop->selector, loop->file);
  unwatch (loop->selector, loop->pipe[0]);
#ifdef HAVE_LINUX_PERF_EVENT_H
  if (is_perf)
    unmap_perf_event ();
#endif
  close (loop->file);
  close_pair (loop->pipe);
  g_main_context_pop_thread_default (loop->context);
  g_main_context_unref (loop->context);
}

/* Runs the context as long as there is anything to do, and checks the number of calls since the last time. */
static void
assert_heard (Loop  *loop,
              guint  n_news,
              guint  n_bytes)
{
  for (guint quiet = 0, n = 0; quiet < 3; n++)
    {
      quiet = g_main_context_iteration (loop->context, FALSE) ? 0 : quiet + 1;
      g_assert_cmpuint (n, <, 100);
    }
  g_assert_cmpuint (loop->n_news, ==, n_news);
  g_assert_cmpuint (loop->n_bytes, ==, n_bytes);
  loop->n_news = loop->n_bytes = 0;
}

static void
run_inner_loop (Loop *loop)
{
  make_news ();
  for (guint i = 0; i < 5; i++)
    g_main_context_iteration (loop->context, FALSE);
}

static void
note (Loop         *loop,
      int           fd,
      SelEventMask  events)
{
  if (fd == loop->file)
    {
      g_assert_cmpuint (events, ==, get_news_events ());
#ifdef HAVE_LINUX_PERF_EVENT_H
      /* The program has read the events. */
      if (is_perf)
        perf_page->data_tail = perf_page->data_head;
#endif
      loop->n_news++;
      if (loop->loops_in_news)
        {
          loop->loops_in_news = FALSE;
          run_inner_loop (loop);
          g_assert_cmpuint (loop->n_news, ==, 1);
        }
      return;
    }

  drain (loop->pipe[0]);
  loop->n_bytes++;
  if (loop->runs_loop)
    {
      loop->runs_loop = FALSE;
      run_inner_loop (loop);
    }
}

static gboolean
on_ready (SelBaseSelector *selector,
          SelSelectorKey  *key,
          SelEventMask     events,
          gpointer         user_data)
{
  note (user_data, sel_selector_key_get_fd (key), events);

  return G_SOURCE_CONTINUE;
}

static gboolean
select_now (gpointer user_data)
{
  Loop *loop = user_data;
  SelReadyEvent events[4];
  gssize n = sel_base_selector_select_ready (loop->selector, 0, events, G_N_ELEMENTS (events), NULL, NULL);

  for (gssize i = 0; i < n; i++)
    note (loop, events[i].fd, events[i].events);

  return G_SOURCE_CONTINUE;
}

static void
watch_both (Loop *loop)
{
  watch (loop->selector, loop->file, get_news_events ());
  watch (loop->selector, loop->pipe[0], SEL_EVENT_READ);
}

static void
watch_with_callbacks (Loop *loop)
{
  sel_base_selector_register_callback (loop->selector, loop->file, get_news_events (), on_ready, loop, NULL, NULL);
  sel_base_selector_register_callback (loop->selector, loop->pipe[0], SEL_EVENT_READ, on_ready, loop, NULL, NULL);
  loop_attach (loop, sel_base_selector_create_dispatch_source (loop->selector, NULL, NULL, NULL), NULL);
}

/* With one callback for each descriptor, or with a plain source, which calls select_now (). */
static void
watch_in_loop (Loop     *loop,
               gboolean  is_plain)
{
  if (!is_plain)
    {
      watch_with_callbacks (loop);
      return;
    }

  watch_both (loop);
  loop_attach (loop, sel_base_selector_create_source (loop->selector), select_now);
}

static void
test_callbacks (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture, TRUE);
  watch_with_callbacks (&loop);
  assert_heard (&loop, 0, 0);
  for (guint i = 0; i < 3; i++)
    {
      make_news ();
      assert_heard (&loop, 1, 0);
    }
  loop_close (&loop);
}

/* From time to time the library looks whether the kernel has mistaken the file for another one. That look must not take
 * the news away. */
#define N_MANY 600

static void
test_many (BackendFixture *fixture)
{
  for (guint is_plain = 0; is_plain < 2; is_plain++)
    {
      Loop loop;

      loop_open (&loop, fixture, TRUE);
      watch_in_loop (&loop, is_plain);
      assert_heard (&loop, 0, 0);
      for (guint i = 0; i < N_MANY; i++)
        {
          make_news ();
          assert_heard (&loop, 1, 0);
        }
      loop_close (&loop);
    }
}

/* The batch has room for one descriptor, and the other one is told later. */
static void
test_small_batch (BackendFixture *fixture)
{
  for (guint pipe_first = 0; pipe_first < 2; pipe_first++)
    {
      Loop loop;

      loop_open (&loop, fixture, pipe_first);
      sel_base_selector_set_max_dispatch (loop.selector, 1);
      watch_with_callbacks (&loop);
      assert_heard (&loop, 0, 0);
      put_byte (loop.pipe[1]);
      make_news ();
      assert_heard (&loop, 1, 1);
      loop_close (&loop);
    }
}

/* The callback of the pipe runs a loop. The file may be in the same batch, before or after the pipe, and has news once
 * more meanwhile. */
static void
test_inner_loop (BackendFixture *fixture)
{
  for (guint pipe_first = 0; pipe_first < 2; pipe_first++)
    {
      Loop loop;

      loop_open (&loop, fixture, pipe_first);
      watch_with_callbacks (&loop);
      loop.runs_loop = TRUE;
      put_byte (loop.pipe[1]);
      assert_heard (&loop, 1, 1);

      loop.runs_loop = TRUE;
      put_byte (loop.pipe[1]);
      make_news ();

      /* Both news are one if the file was not told about the first one before the second one came. */
      for (guint i = 0; i < 10; i++)
        g_main_context_iteration (loop.context, FALSE);
      g_assert_cmpuint (loop.n_news, >=, 1);
      g_assert_cmpuint (loop.n_news, <=, 2);
      loop.n_news = 0;
      assert_heard (&loop, 0, 1);
      loop_close (&loop);
    }
}

/* The callback of the file runs a loop, and there are news meanwhile. It runs already, so that it is told later. */
static void
test_own_loop (BackendFixture *fixture)
{
  for (guint is_plain = 0; is_plain < 2; is_plain++)
    {
      Loop loop;

      loop_open (&loop, fixture, TRUE);
      watch_in_loop (&loop, is_plain);
      loop.loops_in_news = TRUE;
      make_news ();
      assert_heard (&loop, 2, 0);
      make_news ();
      assert_heard (&loop, 1, 0);
      loop_close (&loop);
    }
}

static gboolean
on_pipe_modify (SelBaseSelector *selector,
                SelSelectorKey  *key,
                SelEventMask     events,
                gpointer         user_data)
{
  Loop *loop = user_data;

  drain (loop->pipe[0]);
  loop->n_bytes++;
  g_assert_true (sel_base_selector_refresh (selector, loop->file, NULL));

  return G_SOURCE_CONTINUE;
}

/* Another callback of the same batch registers the file anew with the kernel: the news are found, but not told. */
static void
test_refreshed (BackendFixture *fixture)
{
  for (guint pipe_first = 0; pipe_first < 2; pipe_first++)
    {
      Loop loop;

      loop_open (&loop, fixture, pipe_first);
      watch_with_callbacks (&loop);
      g_assert_true (sel_base_selector_set_callback (loop.selector, loop.pipe[0], on_pipe_modify, &loop, NULL, NULL));
      put_byte (loop.pipe[1]);
      make_news ();
      assert_heard (&loop, 1, 1);
      loop_close (&loop);
    }
}

/* The news were for a registration that does not exist any more. */
static void
test_registered_anew (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture, TRUE);
  sel_base_selector_set_max_dispatch (loop.selector, 1);
  watch_with_callbacks (&loop);
  put_byte (loop.pipe[1]);
  make_news ();
  while (loop.n_bytes == 0)
    g_main_context_iteration (loop.context, FALSE);
  if (loop.n_news == 0)
    {
      unwatch (loop.selector, loop.file);
      sel_base_selector_register_callback (loop.selector, loop.file, get_news_events (), on_ready, &loop, NULL, NULL);
      assert_heard (&loop, 0, 1);
    }
  loop_close (&loop);
}

static void
test_plain (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture, TRUE);
  watch_in_loop (&loop, TRUE);
  assert_heard (&loop, 0, 0);
  make_news ();
  assert_heard (&loop, 1, 0);
  put_byte (loop.pipe[1]);
  make_news ();
  assert_heard (&loop, 1, 1);
  loop_close (&loop);
}

/* The loop in the callback has nothing for the source, and the callback is called again. */
static void
test_plain_inner_loop (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture, TRUE);
  watch_in_loop (&loop, TRUE);
  loop.runs_loop = TRUE;
  put_byte (loop.pipe[1]);
  assert_heard (&loop, 1, 1);
  loop_close (&loop);
}

static void
begin_wait (Loop *loop);

static void
on_selected (GObject      *object,
             GAsyncResult *result,
             gpointer      user_data)
{
  Loop *loop = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) events = sel_base_selector_select_finish (loop->selector, result, &error);

  if (g_error_matches (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED))
    return;

  g_assert_no_error (error);
  for (guint i = 0; i < events->len; i++)
    {
      SelSelectorEvent *event = g_ptr_array_index (events, i);

      note (loop, sel_selector_key_get_fd (sel_selector_event_get_key (event)), sel_selector_event_get_events (event));
    }
  begin_wait (loop);
}

static void
begin_wait (Loop *loop)
{
  sel_base_selector_select_async (loop->selector, SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, NULL, on_selected, loop);
}

static void
test_async (BackendFixture *fixture)
{
  Loop loop;

  loop_open (&loop, fixture, TRUE);
  watch_both (&loop);
  begin_wait (&loop);
  assert_heard (&loop, 0, 0);
  make_news ();
  assert_heard (&loop, 1, 0);
  loop.runs_loop = TRUE;
  put_byte (loop.pipe[1]);
  assert_heard (&loop, 1, 1);
  sel_base_selector_close (loop.selector);
  assert_heard (&loop, 0, 0);
  fixture_renew_selector (fixture);
  loop.selector = fixture->selector;
  watch_both (&loop);
  loop_close (&loop);
}

static gpointer
make_news_in_thread (gpointer data)
{
  make_news ();

  return NULL;
}

/* A wait of a thread sees what poll () sees, before it begins, and while it lasts. */
static void
test_blocking (BackendFixture *fixture)
{
  GThread *thread;
  Loop loop;

  loop_open (&loop, fixture, TRUE);
  watch_both (&loop);
  make_news ();
  assert_ready (loop.selector, 10, loop.file, get_news_events (), -1);
  assert_ready (loop.selector, 0, -1);
  if (is_perf)
    {
      /* The event is one of this thread. */
      loop_close (&loop);
      return;
    }

  thread = g_thread_new ("news", make_news_in_thread, NULL);
  assert_ready (loop.selector, 10, loop.file, get_news_events (), -1);
  g_thread_join (thread);
  assert_ready (loop.selector, 0, -1);
  loop_close (&loop);
}

/* --- A source that is destroyed before it is dispatched --- */

#define LOST_PRIORITY (G_PRIORITY_DEFAULT + 1)

static gboolean
destroy_source (int          fd,
                GIOCondition condition,
                gpointer     user_data)
{
  Loop *loop = user_data;

  g_source_destroy (loop->source);
  g_clear_pointer (&loop->source, g_source_unref);

  return G_SOURCE_REMOVE;
}

/* The poll () of the context has found the news, and before the source is dispatched, another source destroys it. GLib
 * calls the check () of the source before that only if the other one has not a higher priority. */
static void
lose_source (Loop *loop,
             int   priority)
{
  g_autoptr (GSource) other = NULL;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  other = g_unix_fd_source_new (fds[0], G_IO_IN);
  g_source_set_priority (other, priority);
  g_source_set_callback (other, G_SOURCE_FUNC (destroy_source), loop, NULL);
  make_news ();
  g_source_attach (other, loop->context);
  g_source_set_priority (loop->source, LOST_PRIORITY); /* it comes after the other one now */
  g_main_context_iteration (loop->context, FALSE);
  close_pair (fds);
  g_assert_null (loop->source);
  g_assert_cmpuint (loop->n_news, ==, 0);
}

static gboolean
never_called (gpointer user_data)
{
  g_assert_not_reached ();
}

static void
attach_to_lose (Loop     *loop,
                gboolean  is_plain)
{
  if (is_plain)
    loop_attach (loop, sel_base_selector_create_source (loop->selector), never_called);
  else
    loop_attach (loop, sel_base_selector_create_dispatch_source (loop->selector, NULL, NULL, NULL), NULL);
}

/* The next select (), or the next source, is told. */
static void
test_source_lost (BackendFixture *fixture)
{
  static const int priorities[] = { G_PRIORITY_HIGH, LOST_PRIORITY };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (priorities); i++)
    for (guint is_plain = 0; is_plain < 2; is_plain++)
      {
        Loop loop;

        loop_open (&loop, fixture, TRUE);
        watch_both (&loop);
        attach_to_lose (&loop, is_plain);
        while (g_main_context_iteration (loop.context, FALSE))
          ;
        lose_source (&loop, priorities[i % 2]);
        if (i < 2)
          select_now (&loop);
        else
          loop_attach (&loop, sel_base_selector_create_source (loop.selector), select_now);
        assert_heard (&loop, 1, 0);
        loop_close (&loop);
      }
}

/* Opens a loop whose source will be lost, and attaches @other to @context, where it has polled once. */
static void
open_with_other_source (Loop           *loop,
                        BackendFixture *fixture,
                        GSource        *other,
                        GMainContext   *context)
{
  loop_open (loop, fixture, TRUE);
  watch_both (loop);
  g_source_set_callback (other, select_now, loop, NULL);
  g_source_attach (other, context);
  g_main_context_iteration (context, FALSE);
  attach_to_lose (loop, FALSE);
  while (g_main_context_iteration (loop->context, FALSE))
    ;
}

/* Another source of the selector is told, also if it has polled nothing since. */
static void
test_other_source_told (BackendFixture *fixture)
{
  g_autoptr (GSource) other = sel_base_selector_create_source (fixture->selector);
  g_autoptr (GMainContext) context = g_main_context_new ();
  Loop loop;

  open_with_other_source (&loop, fixture, other, context);
  lose_source (&loop, LOST_PRIORITY);
  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (context, FALSE);
  assert_heard (&loop, 1, 0);
  g_source_destroy (other);
  loop_close (&loop);
}

/* ... also if the loop of the other source polls already. */
static void
test_polling_source_told (BackendFixture *fixture)
{
  g_autoptr (GSource) other = sel_base_selector_create_source (fixture->selector);
  g_autoptr (GMainContext) context = g_main_context_new ();
  GPollFD fds[8];
  int n_fds, priority, timeout;
  Loop loop;

  open_with_other_source (&loop, fixture, other, context);

  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n_fds = g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  lose_source (&loop, LOST_PRIORITY);
  g_assert_cmpint (g_poll (fds, (guint) n_fds, 0), >, 0);
  g_main_context_check (context, priority, fds, n_fds);
  g_main_context_dispatch (context);
  g_main_context_release (context);
  g_main_context_iteration (context, FALSE);
  assert_heard (&loop, 1, 0);
  g_source_destroy (other);
  loop_close (&loop);
}

static gpointer
wait_for_news (gpointer user_data)
{
  Loop *loop = user_data;

  g_atomic_int_set (&loop->is_waiting, TRUE);
  g_assert_cmpint (sel_base_selector_select_ready (loop->selector, 10, &loop->told, 1, NULL, NULL), ==, 1);

  return NULL;
}

/* A thread that waits in the kernel is told. A real kernel would tell it by itself. */
static void
test_waiting_thread_told (BackendFixture *fixture)
{
  GThread *thread;
  Loop loop;

  if (!is_simulated)
    {
      g_test_skip ("the kernel tells each waiting thread");
      return;
    }

  loop_open (&loop, fixture, TRUE);
  watch_both (&loop);
  attach_to_lose (&loop, FALSE);
  while (g_main_context_iteration (loop.context, FALSE))
    ;
  thread = g_thread_new ("waiter", wait_for_news, &loop);
  while (!g_atomic_int_get (&loop.is_waiting))
    g_thread_yield ();
  lose_source (&loop, LOST_PRIORITY);
  g_thread_join (thread);
  note (&loop, loop.told.fd, loop.told.events);
  assert_heard (&loop, 1, 0);
  loop_close (&loop);
}

static const struct
{
  const char *name;
  BackendFunc func;
  gboolean    is_loop;
} cases[] = {
  { "callbacks", test_callbacks, TRUE },
  { "many", test_many, TRUE },
  { "small-batch", test_small_batch, TRUE },
  { "inner-loop", test_inner_loop, TRUE },
  { "own-loop", test_own_loop, TRUE },
  { "refreshed", test_refreshed, TRUE },
  { "registered-anew", test_registered_anew, TRUE },
  { "plain", test_plain, TRUE },
  { "plain-inner-loop", test_plain_inner_loop, TRUE },
  { "async", test_async, TRUE },
  { "source-lost", test_source_lost, TRUE },
  { "other-source-told", test_other_source_told, TRUE },
  { "polling-source-told", test_polling_source_told, TRUE },
  { "waiting-thread-told", test_waiting_thread_told, TRUE },
  { "blocking", test_blocking, FALSE },
};

static gboolean
skip_without_file (void)
{
  int fd = -1;

  if (is_perf)
    {
#ifdef HAVE_LINUX_PERF_EVENT_H
      fd = open_perf_event ();
#endif
      if (fd < 0)
        {
          g_test_skip ("this process may not have perf events");
          return TRUE;
        }

#ifdef HAVE_LINUX_PERF_EVENT_H
      unmap_perf_event ();
#endif
      close (fd);
      return FALSE;
    }

  if (!g_file_test ("/proc/self/mountinfo", G_FILE_TEST_EXISTS))
    {
      g_test_skip ("this system has no /proc/self/mountinfo");
      return TRUE;
    }
  if (!is_simulated && mount_point == NULL)
    {
      g_test_skip ("this process may not mount anything");
      return TRUE;
    }

  return FALSE;
}

static void
run_case (BackendFixture *fixture)
{
  const char *name = strrchr (g_test_get_path (), '/') + 1;

  is_simulated = strstr (g_test_get_path (), "/simulated/") != NULL;
  is_perf = strstr (g_test_get_path (), "/perf/") != NULL;
  if (skip_without_file ())
    return;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      if (!g_str_equal (cases[i].name, name))
        continue;

      /* A context polls the descriptor of the mechanism, which finds the news and does not keep them. */
      if (cases[i].is_loop)
        sel_base_selector_set_force_mirrored (fixture->selector, TRUE);
      cases[i].func (fixture);
    }
}

/* The mounts of this program are its own. */
static void
prepare_mounts (void)
{
#ifdef __linux__
  if (unshare (CLONE_NEWNS) < 0 || mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return;

  mount_point = g_dir_make_tmp ("sel-one-shot-XXXXXX", NULL);
  if (mount_point == NULL || mount ("tmpfs", mount_point, "tmpfs", 0, NULL) == 0)
    {
      is_mounted = mount_point != NULL;
      return;
    }

  g_rmdir (mount_point);
  g_clear_pointer (&mount_point, g_free);
#endif
}

int
main (int   argc,
      char *argv[])
{
  static const char *const names[] = { "select", "poll", "epoll", "devpoll" };
  int result;

  g_test_init (&argc, &argv, NULL);

  open_glib_descriptors ();
  prepare_mounts ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *real = g_strconcat ("one-shot/", cases[i].name, NULL);
      g_autofree char *perf = g_strconcat ("one-shot/perf/", cases[i].name, NULL);
      g_autofree char *simulated = g_strconcat ("one-shot/simulated/", cases[i].name, NULL);

      /* The simulators of the other mechanisms poll more than once, and a system with kqueue has no such file. */
      for (guint j = 0; j < G_N_ELEMENTS (names) - !cases[i].is_loop; j++)
        {
          backend_add_for (names[j], real, run_case);
          backend_add_for (names[j], perf, run_case);
          if (cases[i].is_loop)
            backend_add_for (names[j], simulated, run_case);
        }
    }

  result = g_test_run ();

#ifdef __linux__
  if (is_mounted)
    umount (mount_point);
#endif
  if (mount_point != NULL)
    g_rmdir (mount_point);
  g_free (mount_point);

  return result;
}
