/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Many descriptors, many connections, and idle loops under adverse conditions. No case depends on how long something
 * takes: the cases count bytes, descriptors, wake-ups and processor time.
 *
 * SEL_TEST_LOAD=long in the environment uses ten times as many descriptors. A number there sets the number of
 * descriptors of the first test.
 */

#include "config.h"

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#ifdef HAVE_MALLINFO2
#include <malloc.h>
#endif
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_EVENTFD
#include <sys/eventfd.h>
#endif
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Sanitizers and valgrind slow everything down, and do not return memory at once. */
static gboolean
is_slowed_down (void)
{
  G_GNUC_UNUSED const char *preload = g_getenv ("LD_PRELOAD");

#ifdef SANITIZED
  return TRUE;
#else
  return preload != NULL && strstr (preload, "vgpreload") != NULL;
#endif
}

static guint
scale (guint normal,
       guint slowed_down)
{
  return is_slowed_down () ? slowed_down : normal;
}

static gdouble
cpu_seconds (void)
{
  struct rusage usage;

  g_assert_no_errno (getrusage (RUSAGE_SELF, &usage));

  return (gdouble) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (gdouble) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static gsize
heap_bytes (void)
{
#ifdef HAVE_MALLINFO2
  return mallinfo2 ().uordblks;
#else
  return 0;
#endif
}

/* Raises the limit so that @n descriptors can be opened, or as many as possible. Returns their number. */
static guint
raise_limit (guint n)
{
  const guint others = 100;
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  if (limit.rlim_cur >= n + others)
    return n;

  limit.rlim_cur = n + others;
  limit.rlim_max = MAX (limit.rlim_max, limit.rlim_cur);
  if (setrlimit (RLIMIT_NOFILE, &limit) == 0)
    return n;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = limit.rlim_max;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  return (guint) limit.rlim_max - others;
}

static guint
n_churned (void)
{
  const char *load = g_getenv ("SEL_TEST_LOAD");

  if (g_strcmp0 (load, "long") == 0)
    return 200000;

  return load != NULL ? (guint) MAX (atoi (load), 100) : scale (20000, 2000);
}

/* A descriptor that gives back the number that was written to it: an eventfd, or a socket that is connected to
 * itself. */
static int
open_counter (void)
{
#ifdef HAVE_EVENTFD
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
#else
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  int fd = socket (AF_INET, SOCK_DGRAM, 0);

  g_assert_no_errno (fd);
  prepare_fd (fd);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) &address, &size));
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, size));
#endif

  g_assert_no_errno (fd);

  return fd;
}

/* Registers many descriptors. Each round unregisters, closes and replaces some, and makes others ready. */
static void
test_churn (BackendFixture *fixture)
{
  guint n_fds = n_churned ();
  g_autofree SelReadyEvent *events = g_new (SelReadyEvent, n_fds);
  g_autofree int *fds = g_new (int, n_fds);
  gsize heap_after_first = 0;
  struct rlimit saved;
  guint per_round;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &saved));
  n_fds = raise_limit (n_fds);
  per_round = n_fds / 100;
  g_test_message ("%u descriptors", n_fds);

  for (guint i = 0; i < n_fds; i++)
    {
      fds[i] = open_counter ();
      watch (fixture->selector, fds[i], SEL_EVENT_READ);
    }

  for (guint round = 0; round < 20; round++)
    {
      guint first = (round * 7919) % n_fds;
      gsize n_ready = 0;
      guint64 value;

      for (guint i = 0; i < per_round; i++)
        {
          guint gone = (first + 2 * i) % n_fds;
          guint ready = (first + 2 * i + 1) % n_fds;

          unwatch (fixture->selector, fds[gone]);
          close (fds[gone]);
          fds[gone] = open_counter ();
          watch (fixture->selector, fds[gone], SEL_EVENT_READ);
          rewatch (fixture->selector, fds[gone], SEL_EVENT_READ | SEL_EVENT_WRITE);
          rewatch (fixture->selector, fds[gone], SEL_EVENT_READ);
          value = ready + 1;
          g_assert_cmpint (write (fds[ready], &value, sizeof value), ==, sizeof value);
        }

      /* Each descriptor is reported once, with the number that was written to it. */
      while (n_ready < per_round)
        {
          gssize n = sel_base_selector_select_ready (fixture->selector, 0, events, n_fds, NULL, NULL);

          g_assert_cmpint (n, >, 0);
          for (gssize i = 0; i < n; i++)
            {
              g_assert_cmpint (read (events[i].fd, &value, sizeof value), ==, sizeof value);
              g_assert_cmpint (fds[value - 1], ==, events[i].fd);
            }
          n_ready += (gsize) n;
        }
      g_assert_cmpuint (n_ready, ==, per_round);
      assert_ready (fixture->selector, 0, -1);

      if (round == 2)
        heap_after_first = heap_bytes ();
    }

  if (!is_slowed_down ())
    g_assert_cmpuint (heap_bytes (), <=, heap_after_first + 4096);

  for (guint i = 0; i < n_fds; i++)
    {
      unwatch (fixture->selector, fds[i]);
      close (fds[i]);
    }
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &saved));
}

static void
detach (GMainContext *context,
        guint         id)
{
  GSource *source = g_main_context_find_source_by_id (context, id);

  if (source != NULL)
    g_source_destroy (source);
}

/*
 * --- Connections ---
 */

#define CONCURRENT 50
#define MESSAGE_SIZE 61

typedef struct
{
  SelBaseSelector *selector;
  struct sockaddr_in address;
  GMainLoop *loop;
  guint n_wanted;
  guint n_begun;
  guint n_served;            /* connections that the server has closed, each after its client */
  guint n_clients_done;
  guint64 n_bytes;
  gsize heap;
  guint n_open;
} Service;

typedef struct
{
  Service *service;
  guint number;
  guint n_read;
} Client;

static guchar
message_byte (guint number,
              guint i)
{
  return (guchar) (number * 31 + i * 7 + number / 256);
}

static void
service_check_end (Service *service)
{
  if (service->n_served == service->n_wanted && service->n_clients_done == service->n_wanted)
    g_main_loop_quit (service->loop);

  /* From the first quarter on, memory and descriptors must not grow. */
  if (service->n_served == service->n_wanted / 4)
    {
      service->heap = heap_bytes ();
      service->n_open = count_open_fds ();
    }
}

static void service_begin_client (Service *service);

static gboolean
client_ready (SelBaseSelector *selector,
              SelSelectorKey  *key,
              SelEventMask     events,
              gpointer         user_data)
{
  Client *client = user_data;
  Service *service = client->service;
  int fd = sel_selector_key_get_fd (key);
  guchar bytes[MESSAGE_SIZE];
  gssize n;

  if ((events & SEL_EVENT_WRITE) != 0)
    {
      for (guint i = 0; i < MESSAGE_SIZE; i++)
        bytes[i] = message_byte (client->number, i);
      g_assert_cmpint (write (fd, bytes, sizeof bytes), ==, sizeof bytes);
      rewatch (selector, fd, SEL_EVENT_READ);
      return G_SOURCE_CONTINUE;
    }

  n = read (fd, bytes, sizeof bytes);
  g_assert_cmpint (n, >, 0);
  for (gssize i = 0; i < n; i++)
    g_assert_cmpuint (bytes[i], ==, message_byte (client->number, client->n_read + (guint) i));
  client->n_read += (guint) n;
  if (client->n_read < MESSAGE_SIZE)
    return G_SOURCE_CONTINUE;

  unwatch (selector, fd);
  close (fd);
  service->n_clients_done++;
  service_begin_client (service);
  service_check_end (service);

  return G_SOURCE_CONTINUE;
}

static void
service_begin_client (Service *service)
{
  struct linger no_wait = { .l_onoff = 1 };
  g_autoptr (GError) error = NULL;
  Client *client;
  int fd;

  if (service->n_begun == service->n_wanted)
    return;

  client = g_new0 (Client, 1);
  client->service = service;
  client->number = service->n_begun++;
  fd = open_socket (AF_INET, TRUE);
  g_assert_no_errno (fd);
  /* Without this the system runs out of ports. */
  g_assert_no_errno (setsockopt (fd, SOL_SOCKET, SO_LINGER, &no_wait, sizeof no_wait));
  if (connect (fd, (struct sockaddr *) &service->address, sizeof service->address) < 0)
    g_assert_cmpint (errno, ==, EINPROGRESS);
  sel_base_selector_register_callback (service->selector, fd, SEL_EVENT_WRITE, client_ready, client, g_free, &error);
  g_assert_no_error (error);
}

static gboolean
connection_ready (SelBaseSelector *selector,
                  SelSelectorKey  *key,
                  SelEventMask     events,
                  gpointer         user_data)
{
  Service *service = user_data;
  int fd = sel_selector_key_get_fd (key);
  char bytes[MESSAGE_SIZE];
  gssize n = read (fd, bytes, sizeof bytes);

  if (n > 0)
    {
      g_assert_cmpint (write (fd, bytes, (gsize) n), ==, n);
      service->n_bytes += (guint64) n;
      return G_SOURCE_CONTINUE;
    }

  if (n < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;

  unwatch (selector, fd);
  close (fd);
  service->n_served++;
  service_check_end (service);

  return G_SOURCE_CONTINUE;
}

static gboolean
listener_ready (SelBaseSelector *selector,
                SelSelectorKey  *key,
                SelEventMask     events,
                gpointer         user_data)
{
  g_autoptr (GError) error = NULL;
  int fd = accept (sel_selector_key_get_fd (key), NULL, NULL);

  if (fd < 0)
    {
      g_assert_true (errno == EAGAIN || errno == ECONNABORTED);
      return G_SOURCE_CONTINUE;
    }

  prepare_fd (fd);
  sel_base_selector_register_callback (selector, fd, SEL_EVENT_READ, connection_ready, user_data, NULL, &error);
  g_assert_no_error (error);

  return G_SOURCE_CONTINUE;
}

static int
open_listener (struct sockaddr_in *address)
{
  socklen_t size = sizeof *address;
  int fd = open_socket (AF_INET, TRUE);

  *address = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  g_assert_no_errno (fd);
  g_assert_no_errno (bind (fd, (struct sockaddr *) address, sizeof *address));
  g_assert_no_errno (listen (fd, 1024));
  g_assert_no_errno (getsockname (fd, (struct sockaddr *) address, &size));

  return fd;
}

/* Connects, echoes and closes a hundred thousand times over all backends, in one main loop each. */
static void
test_connections (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GError) error = NULL;
  Service service = { .selector = fixture->selector, .n_wanted = scale (20000, 500) };
  int listener = open_listener (&service.address);
  guint id;

  service.loop = g_main_loop_new (context, FALSE);
  id = sel_base_selector_attach (fixture->selector, context, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  sel_base_selector_register_callback (fixture->selector, listener, SEL_EVENT_READ, listener_ready, &service, NULL,
                                       &error);
  g_assert_no_error (error);
  for (guint i = 0; i < CONCURRENT; i++)
    service_begin_client (&service);

  g_main_loop_run (service.loop);

  g_assert_cmpuint (service.n_served, ==, service.n_wanted);
  g_assert_cmpuint (service.n_bytes, ==, (guint64) service.n_wanted * MESSAGE_SIZE);
  if (!is_slowed_down ())
    g_assert_cmpuint (heap_bytes (), <=, service.heap + 65536);
  g_assert_cmpuint (count_open_fds (), <=, service.n_open);
  g_test_message ("%u connections, %" G_GUINT64_FORMAT " bytes", service.n_served, service.n_bytes);

  unwatch (fixture->selector, listener);
  close (listener);
  detach (context, id);
  g_main_loop_unref (service.loop);
}

/*
 * --- Idle loops ---
 */

typedef struct
{
  GMainLoop *loop;
  guint n_calls;
  guint n_turns;
} Idleness;

static gboolean
count_call (SelBaseSelector *selector,
            SelSelectorKey  *key,
            SelEventMask     events,
            gpointer         user_data)
{
  ((Idleness *) user_data)->n_calls++;

  return G_SOURCE_CONTINUE;
}

static gboolean
end_idleness (gpointer user_data)
{
  g_main_loop_quit (((Idleness *) user_data)->loop);

  return G_SOURCE_REMOVE;
}

/* Counts callbacks, and measures the processor time, in a main loop that runs this many milliseconds without useful
 * work. */
static void
assert_idle (BackendFixture *fixture,
             guint           max_calls)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) end = g_timeout_source_new (300);
  Idleness idleness = { 0 };
  gdouble busy;
  guint id;

  idleness.loop = g_main_loop_new (context, FALSE);
  id = sel_base_selector_attach (fixture->selector, context, G_PRIORITY_DEFAULT, count_call, &idleness, NULL);
  g_source_set_callback (end, end_idleness, &idleness, NULL);
  g_source_attach (end, context);

  busy = cpu_seconds ();
  g_main_loop_run (idleness.loop);
  busy = cpu_seconds () - busy;

  g_test_message ("%u calls, %.1f ms of the processor's time in 300 ms", idleness.n_calls, 1e3 * busy);
  g_assert_cmpuint (idleness.n_calls, <=, max_calls);
  if (!is_slowed_down ())
    g_assert_cmpfloat (busy, <, 0.030);

  detach (context, id);
  g_main_loop_unref (idleness.loop);
}

static void
test_idle (BackendFixture *fixture)
{
  int fds[2];

  open_pipe (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  assert_idle (fixture, 0);
  close_pair (fds);
}

static void
test_idle_closed (BackendFixture *fixture)
{
  int fds[2];

  /* High numbers, which are not used again. */
  open_pipe (fds);
  for (guint i = 0; i < 2; i++)
    {
      int high = fcntl (fds[i], F_DUPFD_CLOEXEC, 500);

      close (fds[i]);
      fds[i] = high;
      watch (fixture->selector, high, SEL_EVENT_READ);
    }
  close_pair (fds);
  assert_idle (fixture, 0);
}

/* An unhandled hang-up is dispatched at first a few times, and then ten times a second. */
static void
test_idle_hung_up (BackendFixture *fixture)
{
  int fds[2];

  open_socketpair (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  close (fds[1]);
  assert_idle (fixture, 16);
  close (fds[0]);
}

/* epoll keeps reporting a closed descriptor while a duplicate is open. */
static void
test_idle_stale (BackendFixture *fixture)
{
  int fds[2];
  int copy;

  open_pipe (fds);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 500);
  watch (fixture->selector, copy, SEL_EVENT_READ);
  put_byte (fds[1]);
  close (copy);
  assert_idle (fixture, 16);
  unwatch (fixture->selector, copy);
  assert_idle (fixture, 0);
  close_pair (fds);
}

/* A server that cannot accept unregisters its listener, and registers it again when a descriptor is free. */
static gboolean
accept_or_pause (SelBaseSelector *selector,
                 SelSelectorKey  *key,
                 SelEventMask     events,
                 gpointer         user_data)
{
  Idleness *idleness = user_data;
  int fd = accept (sel_selector_key_get_fd (key), NULL, NULL);

  idleness->n_calls++;
  g_assert_cmpint (fd, <, 0);
  g_assert_cmpint (errno, ==, EMFILE);
  unwatch (selector, sel_selector_key_get_fd (key));

  return G_SOURCE_CONTINUE;
}

static void
test_idle_no_files (BackendFixture *fixture)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) end = g_timeout_source_new (300);
  Idleness idleness = { 0 };
  struct sockaddr_in address;
  int listener = open_listener (&address);
  int client = open_socket (AF_INET, FALSE);
  struct rlimit saved;
  gdouble busy;
  guint id;

  idleness.loop = g_main_loop_new (context, FALSE);
  g_assert_no_errno (connect (client, (struct sockaddr *) &address, sizeof address));
  watch (fixture->selector, listener, SEL_EVENT_READ);
  id = sel_base_selector_attach (fixture->selector, context, G_PRIORITY_DEFAULT, accept_or_pause, &idleness, NULL);
  g_source_set_callback (end, end_idleness, &idleness, NULL);
  g_source_attach (end, context);

  forbid_open (&saved);
  busy = cpu_seconds ();
  g_main_loop_run (idleness.loop);
  busy = cpu_seconds () - busy;
  allow_open (&saved);

  g_assert_cmpuint (idleness.n_calls, ==, 1);
  if (!is_slowed_down ())
    g_assert_cmpfloat (busy, <, 0.030);

  g_main_loop_unref (idleness.loop);
  close (client);
  close (listener);
  detach (context, id);
}

static guint n_signals;

static void
count_signal (int signum)
{
  n_signals++;
}

/* A thousand signals a second do not end a wait early. Each signal costs the wait only the handling of that signal. */
static void
test_idle_signals (BackendFixture *fixture)
{
  struct sigaction action = { .sa_handler = count_signal };
  struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
  struct itimerval none = { 0 };
  struct sigaction saved;
  gdouble busy;

  if (skip_signals_of_select (fixture))
    return;

  g_assert_no_errno (sigaction (SIGALRM, &action, &saved));
  n_signals = 0;
  g_assert_no_errno (setitimer (ITIMER_REAL, &timer, NULL));
  busy = cpu_seconds ();
  assert_quiet (fixture->selector, 0.3);
  busy = cpu_seconds () - busy;
  g_assert_no_errno (setitimer (ITIMER_REAL, &none, NULL));
  g_assert_no_errno (sigaction (SIGALRM, &saved, NULL));

  g_assert_cmpuint (n_signals, >, 10);
  if (!is_slowed_down ())
    g_assert_cmpfloat (busy, <, 0.1);
}

int
main (int   argc,
      char *argv[])
{
  const struct
  {
    const char *name;
    BackendFunc func;
  } cases[] = {
    { "churn", test_churn },
    { "connections", test_connections },
    { "idle", test_idle },
    { "idle-closed", test_idle_closed },
    { "idle-hung-up", test_idle_hung_up },
    { "idle-stale", test_idle_stale },
    { "idle-no-files", test_idle_no_files },
    { "idle-signals", test_idle_signals },
  };

  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    backend_add (cases[i].name, cases[i].func);

  return g_test_run ();
}
