/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#endif

#include "listeners.h"
#include "system-facts.h"

/*
 * Situations in which a descriptor stays ready: kinds of files, what the peer has done, what the callback does. It does
 * its work, and must not be delayed: it needs as many turns of the loop as with g_unix_fd_add(). A pause would show as
 * hundreds of turns, because the turns do not block. test-ignored.c has callbacks that do nothing.
 */

/* From <linux/net_tstamp.h>, which musl's compiler does not find. */
#define TIMESTAMP_SENDING (1 << 1)
#define TIMESTAMP_BY_SOFTWARE (1 << 4)

/* --- Working --- */

static void
write_byte (Situation    *self,
            SelEventMask  events)
{
  if (write (self->fd, "x", 1) == 1)
    self->n_done++;
}

static void
read_number (Situation    *self,
             SelEventMask  events)
{
  char buffer[256];

  if (read (self->fd, buffer, sizeof buffer) > 0)
    self->n_done++;
}

static void
read_and_count (Situation *self,
                int        fd)
{
  static char buffer[65536];
  gssize n = read (fd, buffer, sizeof buffer);

  if (n > 0)
    self->n_done += (guint) n;
}

/* The peer sends nothing, but reads all that it gets. */
static void
feed_reader (Situation *self)
{
  read_and_count (self, self->peer);
}

static void
write_much (Situation    *self,
            SelEventMask  events)
{
  static const char block[32768];
  char byte;

  if ((events & READ) != 0)
    g_assert_cmpint (read (self->fd, &byte, 1), ==, 0);
  if ((events & WRITE) != 0)
    while (write (self->fd, block, sizeof block) > 0)
      ;
}

/* The other way round: this side has ended its direction, and reads the data that the peer sends slowly. */
static gboolean
open_half_closed_here (Situation *self)
{
  open_sockets (self, SOCK_STREAM);
  g_assert_no_errno (shutdown (self->fd, SHUT_WR));

  return TRUE;
}

/* The peer has much to send, and there is room for a part of it. */
static void
feed_much (Situation *self)
{
  static const char block[65536];

  while (self->n_fed < self->goal)
    {
      gssize n = write (self->peer, block, MIN (sizeof block, self->goal - self->n_fed));

      if (n <= 0)
        break;

      self->n_fed += (guint) n;
    }
}

static void
read_much (Situation    *self,
           SelEventMask  events)
{
  read_and_count (self, self->fd);
}

/* The error of a reset, or the end. */
static void
read_end (Situation    *self,
          SelEventMask  events)
{
  char byte;

  if (read (self->fd, &byte, 1) == 0 || errno == ECONNRESET)
    self->n_done++;
}

static gboolean
open_regular_file (Situation *self)
{
  g_autofree char *path = NULL;

  self->fd = g_file_open_tmp (NULL, &path, NULL);
  g_assert_no_errno (self->fd);
  fcntl (self->fd, F_SETFD, FD_CLOEXEC);
  for (guint i = 0; i < self->goal; i++)
    put_byte (self->fd);
  g_assert_cmpint (lseek (self->fd, 0, SEEK_SET), ==, 0);
  g_unlink (path);

  return TRUE;
}

/* A socket for datagrams that has no connection, and another one that sends to it. */
static gboolean
open_datagrams (Situation *self)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;

  self->fd = socket (AF_INET, SOCK_DGRAM, 0);
  self->peer = socket (AF_INET, SOCK_DGRAM, 0);
  g_unix_set_fd_nonblocking (self->fd, TRUE, NULL);
  g_assert_no_errno (bind (self->fd, (struct sockaddr *) &address, size));
  g_assert_no_errno (getsockname (self->fd, (struct sockaddr *) &address, &size));
  g_assert_no_errno (connect (self->peer, (struct sockaddr *) &address, size));

  return TRUE;
}

static void
feed_datagram (Situation *self)
{
  if (self->n_fed == self->n_done)
    {
      g_assert_cmpint (send (self->peer, "x", self->n_fed % 2, 0), ==, self->n_fed % 2);
      self->n_fed++;
    }
}

static void
feed_byte (Situation *self)
{
  if (self->n_fed++ % 2 == 0)
    put_byte (self->peer);
}

#ifdef __linux__

/* Every second packet is empty. A packet is there in each turn. */
static void
feed_packets (Situation *self)
{
  while (self->n_fed < self->goal && send (self->peer, "x", self->n_fed % 2, MSG_DONTWAIT) >= 0)
    self->n_fed++;
}

static void
bind_datagrams (Situation *self)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  int flags = TIMESTAMP_SENDING | TIMESTAMP_BY_SOFTWARE;

  self->fd = socket (AF_INET, SOCK_DGRAM, 0);
  self->peer = socket (AF_INET, SOCK_DGRAM, 0);
  g_assert_no_errno (bind (self->peer, (struct sockaddr *) &address, size));
  g_assert_no_errno (getsockname (self->peer, (struct sockaddr *) &address, &size));
  g_assert_no_errno (connect (self->fd, (struct sockaddr *) &address, size));
  g_assert_no_errno (getsockname (self->fd, (struct sockaddr *) &address, &size));
  g_assert_no_errno (connect (self->peer, (struct sockaddr *) &address, size));
  g_assert_no_errno (setsockopt (self->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));
}

static gboolean
read_queue (Situation *self,
            int        flags)
{
  char data[512], control[512];
  struct iovec vector = { data, sizeof data };
  struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                            .msg_controllen = sizeof control };

  return recvmsg (self->fd, &message, flags | MSG_DONTWAIT) >= 0;
}

static gboolean
open_stamps (Situation *self)
{
  bind_datagrams (self);
  for (guint i = 0; i < self->goal; i++)
    g_assert_cmpint (send (self->fd, "x", 1, 0), ==, 1);

  return TRUE;
}

/* The peer has ended its direction, and gets the data that the time stamps are about. */
static gboolean
open_stamps_half_closed (Situation *self)
{
  int flags = TIMESTAMP_SENDING | TIMESTAMP_BY_SOFTWARE;

  open_half_closed_tcp (self);
  g_assert_no_errno (setsockopt (self->fd, IPPROTO_TCP, TCP_NODELAY, &(int) { 1 }, sizeof (int)));
  g_assert_no_errno (setsockopt (self->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags));

  return TRUE;
}

/* A time stamp is there in each turn. */
static void
feed_stamp (Situation *self)
{
  struct pollfd entry = { .fd = self->fd };

  if (self->n_fed == self->n_done && send (self->fd, "x", 1, 0) == 1)
    self->n_fed++;
  g_assert_cmpint (poll (&entry, 1, -1), ==, 1);
}

static void
read_stamp (Situation    *self,
            SelEventMask  events)
{
  if (read_queue (self, MSG_ERRQUEUE))
    self->n_done++;
}

/* The messages of ICMP that tell that nobody listens, one in each call. */
static gboolean
open_refusals (Situation *self)
{
  int yes = 1;

  bind_datagrams (self);
  g_assert_no_errno (setsockopt (self->fd, IPPROTO_IP, IP_RECVERR, &yes, sizeof yes));
  g_assert_no_errno (setsockopt (self->fd, SOL_SOCKET, SO_TIMESTAMPING, &(int) { 0 }, sizeof (int)));
  close_peer (self);

  /* A pending error makes send () fail, and is over then. */
  while (self->n_fed < self->goal)
    self->n_fed += send (self->fd, "x", 1, 0) == 1;

  return TRUE;
}

/* A server that answers, and reads both queues until they are empty. Each answer leaves a time stamp, which arrives
 * while the callback runs or after it. */
static gboolean
open_server (Situation *self)
{
  bind_datagrams (self);

  return TRUE;
}

static gboolean
open_server_odd (Situation *self)
{
  bind_datagrams (self);
  g_assert_cmpint (send (self->peer, "x", 1, 0), ==, 1);
  self->n_fed = self->n_done = 1;

  return TRUE;
}

static void
feed_server (Situation *self)
{
  if (self->n_fed == self->n_done && send (self->peer, "x", 1, 0) == 1)
    self->n_fed++;
}

static void
serve (Situation    *self,
       SelEventMask  events)
{
  while (read_queue (self, 0))
    if (self->n_calls > 1 || self->n_fed == self->n_done + 1)
      {
        send (self->fd, "y", 1, 0);
        self->n_done++;
      }
  while (read_queue (self, MSG_ERRQUEUE))
    ;
}

static gboolean
open_eventfd (Situation *self)
{
  self->fd = eventfd (100, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE);

  return TRUE;
}

static gboolean
open_timerfd (Situation *self)
{
  struct itimerspec timer = { .it_value.tv_nsec = 1, .it_interval.tv_nsec = 1 };

  self->fd = timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  g_assert_no_errno (timerfd_settime (self->fd, 0, &timer, NULL));

  return TRUE;
}

/* The timer expires all the time, but on a busy machine some turns would come first. */
static void
wait_for_timer (Situation *self)
{
  struct pollfd entry = { self->fd, POLLIN, 0 };

  g_assert_cmpint (poll (&entry, 1, -1), ==, 1);
}

static gboolean
open_signalfd (Situation *self)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGUSR2);
  self->fd = signalfd (-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);

  return TRUE;
}

static void
feed_signal (Situation *self)
{
  kill (getpid (), SIGUSR2);
}

/* A file of the kernel that can always be read, and has an error condition once after each change, as those in sysfs.
 * The name is that of this program's own namespace. */
static gboolean has_own_host_name;

static gboolean
open_host_name (Situation *self)
{
  self->fd = open ("/proc/sys/kernel/hostname", O_RDONLY | O_CLOEXEC);

  return self->fd >= 0;
}

static const char host_names[] = "ab";

static void
feed_host_name (Situation *self)
{
  self->n_fed++;
  g_assert_cmpint (sethostname (&host_names[self->n_fed & 1], 1), ==, 0);
}

static void
read_host_name (Situation    *self,
                SelEventMask  events)
{
  char name;

  if (pread (self->fd, &name, 1, 0) == 1 && name == host_names[self->n_fed & 1])
    self->n_done = self->n_fed;
}

#endif

static const Situation workers[] = {
  { "output of a child, a byte in each call", READ, open_child, NULL, read_byte, 41 },
  { "half-closed peer reads", BOTH, open_half_closed, feed_reader, write_much, 16 << 20 },
  { "half-closed here, the peer sends", READ, open_half_closed_here, feed_byte, read_byte, 50 },
  { "half-closed here, the peer sends much", READ, open_half_closed_here, feed_much, read_much, 16 << 20 },
  { "reset", READ, open_reset_tcp, NULL, read_end, 1 },
  { "regular file", READ, open_regular_file, NULL, read_byte, 50 },
  { "datagrams, no connection", READ, open_datagrams, feed_datagram, read_byte, 50 },
#ifdef __linux__
  { "packets, some empty", READ, NULL, feed_packets, read_byte, 40 },
  { "time stamps, one in each call", READ, open_stamps, NULL, read_stamp, 60, TRUE },
  { "time stamps, half-closed peer", READ, open_stamps_half_closed, feed_stamp, read_stamp, 60, TRUE },
  { "messages of ICMP, one in each call", READ, open_refusals, NULL, read_stamp, 60, TRUE },
  { "server reads both queues", READ, open_server, feed_server, serve, 60, TRUE },
  { "server reads both queues, one datagram more", READ, open_server_odd, feed_server, serve, 60, TRUE },
  { "eventfd", READ, open_eventfd, NULL, read_number, 60 },
  { "timerfd", READ, open_timerfd, wait_for_timer, read_number, 60 },
  { "signalfd", READ, open_signalfd, feed_signal, read_number, 40 },
  { "host name", READ, open_host_name, feed_host_name, read_host_name, 40 },
  { "host name, WRITE", WRITE, open_host_name, feed_host_name, read_host_name, 40 },
#endif
};

/* Runs turns that do not block until the situation is over. Returns how many. */
static guint
run_worker (const Situation *row,
            SelBaseSelector *selector,
            Listener         listener)
{
  Listening listening;
  Situation self;
  guint n;

  situation_open (&self, row);
  listening_start (&listening, &self, selector, listener);
  for (n = 0; self.n_done < self.goal && n < 100000; n++)
    {
      if (self.feed != NULL)
        self.feed (&self);
      g_main_context_iteration (listening.context, FALSE);
    }
  listening_stop (&listening);
  situation_close (&self);

  return n;
}

/* TRUE if this system, or this process, cannot have the situation. */
static gboolean
is_missing (const Situation      *row,
            const BackendFixture *fixture)
{
  /* NetBSD and macOS have none, and the poll () of their simulators does not tell an error alone. */
  if (row->has_error_queue)
    return fixture->backend->splits_events || g_strcmp0 (g_getenv ("SIM_KQUEUE"), "netbsd") == 0 ||
           g_strcmp0 (g_getenv ("SIM_KQUEUE"), "macos") == 0;

#ifdef __linux__
  if (row->open == open_host_name && !has_own_host_name)
    {
      g_test_message ("%s: this process may not have one of its own", row->name);
      return TRUE;
    }
#endif

  return FALSE;
}

static void
test_workers (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    {
      static const SelHangupPolicy policies[] = { SEL_HANGUP_POLICY_THROTTLE, SEL_HANGUP_POLICY_ONCE };

      for (guint j = 0; j < G_N_ELEMENTS (policies); j++)
        {
          guint n_plain;

          if (is_missing (&workers[i], fixture))
            continue;

          n_plain = run_worker (&workers[i], fixture->selector, BY_GLIB);

          sel_base_selector_set_hangup_policy (fixture->selector, policies[j]);
          for (Listener listener = BY_CALLBACK; listener < N_LISTENERS; listener++)
            {
              guint n = run_worker (&workers[i], fixture->selector, listener);

              g_test_message ("%s, %s: %u turns, with g_unix_fd_add () %u", workers[i].name, listeners[listener], n,
                              n_plain);
              g_assert_cmpuint (n, <=, n_plain + n_plain / 10 + 10);
            }
        }
    }
}

/* --- What comes back --- */

static const struct
{
  Situation row;
  void    (*come_back) (Situation *self);
} returners[] = {
  { { "FIFO, next writer", READ, open_fifo, NULL, read_number }, open_fifo_writer },
  { { "terminal, opened again", READ, open_terminal, NULL, read_number }, open_terminal_peer },
  { { "FIFO, next reader", WRITE, open_fifo_for_writing, NULL, write_byte }, open_fifo_reader },
};

static void
test_come_back (BackendFixture  *fixture,
                SelHangupPolicy  policy,
                guint            i)
{
  /* A main loop that polls the descriptor of the mechanism hears it at once, others after the pause. Linux does not
   * tell those who wait for writing that somebody has opened a FIFO. The simulator of kqueue does not know how
   * terminals behave there. */
  gboolean reads = returners[i].row.events == READ;
  gboolean is_told = fixture->backend->can_poll_fd && !fixture->mirrored && reads &&
                     (!fixture->backend->splits_events || returners[i].come_back == open_fifo_writer);
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSource) source = sel_base_selector_create_dispatch_source (fixture->selector, NULL, NULL, NULL);
  Situation self = returners[i].row;

  self.fd = self.peer = -1;
  sel_base_selector_set_hangup_policy (fixture->selector, policy);
  g_assert_true (self.open (&self));
  situation_register (&self, fixture->selector);
  g_source_attach (source, context);

  for (guint n = 0; n < 2; n++)
    {
      gint64 end = g_get_monotonic_time () + 200 * 1000;
      guint n_turns = 0;

      while (g_get_monotonic_time () < end)
        g_main_context_iteration (context, FALSE);

      returners[i].come_back (&self);
      if (reads)
        {
          put_byte (self.peer);

          /* The kernel moves what is written to a terminal in a thread of its own. */
          g_assert_cmpint (poll (&(struct pollfd) { .fd = self.fd, .events = POLLIN }, 1, -1), ==, 1);
        }
      for (n_turns = 0; self.n_done == n; n_turns++)
        g_main_context_iteration (context, !is_told);
      g_test_message ("%s: %u turns", self.name, n_turns);
      g_assert_cmpuint (n_turns, <=, 100);
      close_peer (&self);
    }

  g_source_destroy (source);
  unwatch (fixture->selector, self.fd);
  situation_close (&self);
}

static void
test_returners (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (returners); i++)
    {
      test_come_back (fixture, SEL_HANGUP_POLICY_THROTTLE, i);
      test_come_back (fixture, SEL_HANGUP_POLICY_ONCE, i);
    }
}

/* Hangs up again: the peer opens the file, and closes it without writing. With ONCE, each hang-up is told once. Where
 * the kernel reports nothing but the present state, a hang-up that has come and gone between two looks is not seen. */
static void
check_hang_up_again (BackendFixture *fixture,
                     guint           i,
                     Listener        listener)
{
  enum { N_TIMES = 4 };
  /* The simulator of kqueue does not know how terminals behave there. */
  gboolean is_told = fixture->backend->can_poll_fd && !fixture->mirrored &&
                     (!fixture->backend->splits_events || returners[i].come_back == open_fifo_writer);
  Situation row = returners[i].row;
  Listening listening;
  Situation self;

  row.act = NULL;
  situation_open (&self, &row);
  listening_start (&listening, &self, fixture->selector, listener);
  for (guint n = 1; n <= N_TIMES; n++)
    {
      gint64 end = g_get_monotonic_time () + 120 * 1000;
      guint n_busy = 0;

      while (is_told && self.n_calls < n)
        g_main_context_iteration (listening.context, TRUE);
      while (g_get_monotonic_time () < end)
        n_busy += g_main_context_iteration (listening.context, FALSE) != FALSE;
      g_test_message ("%s, %s: %u calls, %u busy turns", self.name, listeners[listener], self.n_calls, n_busy);
      g_assert_cmpuint (self.n_calls, <=, n);
      g_assert_cmpuint (self.n_calls, >=, is_told ? n : 1);
      g_assert_cmpuint (n_busy, <=, 10);

      returners[i].come_back (&self);
      close_peer (&self);
    }

  listening_stop (&listening);
  situation_close (&self);
}

static void
test_hang_up_again (BackendFixture *fixture)
{
  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_ONCE);
  for (guint i = 0; i < G_N_ELEMENTS (returners); i++)
    for (Listener listener = BY_CALLBACK; listener < N_LISTENERS; listener++)
      check_hang_up_again (fixture, i, listener);
}

/* The report of the next hang-up goes to another part of the program, while the loop that has to tell it polls. */
static void
test_hang_up_for_another (BackendFixture *fixture)
{
  const Situation row = { "FIFO", READ, open_fifo };
  Listening listening;
  Situation self;
  GPollFD fds[8];
  int priority, timeout, n_fds;

  if (fixture->mirrored || !fixture->backend->can_poll_fd)
    {
      g_test_skip ("this mechanism reports nothing but the present state");
      return;
    }

  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_ONCE);
  situation_open (&self, &row);
  listening_start (&listening, &self, fixture->selector, BY_CALLBACK);
  for (guint i = 0; i < 20; i++)
    g_main_context_iteration (listening.context, FALSE);
  g_assert_cmpuint (self.n_calls, ==, 1);

  g_assert_true (g_main_context_acquire (listening.context));
  g_main_context_prepare (listening.context, &priority);
  n_fds = g_main_context_query (listening.context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (g_poll (fds, (guint) n_fds, 0), ==, 0);
  g_assert_cmpuint ((guint) timeout, >, 10000);

  open_fifo_writer (&self);
  close_peer (&self);
  g_assert_cmpint (sel_base_selector_select_ready (fixture->selector, 0, &(SelReadyEvent) { 0 }, 1, NULL, NULL), ==, 1);
  g_assert_cmpint (g_poll (fds, (guint) n_fds, 0), >, 0);
  g_main_context_check (listening.context, priority, fds, n_fds);
  g_main_context_dispatch (listening.context);
  g_main_context_release (listening.context);
  while (self.n_calls < 2)
    g_main_context_iteration (listening.context, TRUE);

  listening_stop (&listening);
  situation_close (&self);
}

/* The descriptor comes back before the loop polls, so that the kernel has nothing to say about the new alarm. The
 * hang-up after that is told. */
static void
test_returns_at_once (BackendFixture *fixture)
{
  const Situation row = { "FIFO", READ, open_fifo };
  Listening listening;
  Situation self;
  guint n = 0;

  sel_base_selector_set_hangup_policy (fixture->selector, SEL_HANGUP_POLICY_ONCE);
  situation_open (&self, &row);
  listening_start (&listening, &self, fixture->selector, BY_CALLBACK);
  while (self.n_calls == 0 || self.n_calls > n)
    {
      n = self.n_calls;
      g_main_context_iteration (listening.context, FALSE);
    }

  open_fifo_writer (&self);
  for (guint i = 0; i < 3; i++)
    g_main_context_iteration (listening.context, FALSE);
  g_assert_cmpuint (self.n_calls, ==, n);
  close_peer (&self);
  while (self.n_calls == n)
    g_main_context_iteration (listening.context, TRUE);

  listening_stop (&listening);
  situation_close (&self);
}

/* --- Another file under the same number --- */

typedef enum
{
  DUP2,                      /* and nothing else, which is a mistake of the program */
  DUP2_REFRESH,
  REGISTERED_ANEW,
  N_REPLACEMENTS
} Replacement;

/* Replaces the file of @self by a socket that can be read. Returns its peer. */
static int
replace (Situation   *self,
         Listening   *listening,
         Replacement  replacement)
{
  int fds[2];

  open_socketpair (fds);
  put_byte (fds[1]);
  if (replacement == REGISTERED_ANEW)
    {
      close (self->fd);
      unwatch (listening->selector, self->fd);
    }
  g_assert_cmpint (dup2 (fds[0], self->fd), ==, self->fd);
  close (fds[0]);
  if (replacement == DUP2_REFRESH)
    g_assert_true (sel_base_selector_refresh (listening->selector, self->fd, NULL));
  else if (replacement == REGISTERED_ANEW && listening->calls_callbacks)
    situation_register (self, listening->selector);
  else if (replacement == REGISTERED_ANEW)
    watch (listening->selector, self->fd, self->events);

  return fds[1];
}

static void
check_replaced (BackendFixture *fixture,
                gboolean      (*open_old) (Situation *self),
                Replacement     replacement,
                Listener        listener)
{
  /* If the context polls each descriptor, it polls the file that has the number now. */
  gboolean is_heard = replacement != DUP2 || fixture->mirrored || !fixture->backend->can_poll_fd;
  const Situation row = { "replaced", READ, open_old, NULL, read_byte };
  guint n_turns = 0, n_busy = 0;
  Listening listening;
  Situation self;
  int peer;

  situation_open (&self, &row);
  listening_start (&listening, &self, fixture->selector, listener);
  for (guint i = 0; i < 20; i++)
    g_main_context_iteration (listening.context, FALSE);

  self.n_done = 0;
  peer = replace (&self, &listening, replacement);
  for (n_turns = 0; n_turns < 50 && self.n_done == 0; n_turns++)
    n_busy += g_main_context_iteration (listening.context, FALSE) != FALSE;
  g_test_message ("%s: %u turns, %u busy", listeners[listener], n_turns, n_busy);
  if (is_heard)
    g_assert_cmpuint (n_turns, <=, 3);
  else
    g_assert_cmpuint (n_busy, <=, 3);

  listening_stop (&listening);
  close (peer);
  situation_close (&self);
}

static gboolean
open_idle_socket (Situation *self)
{
  return open_sockets (self, SOCK_STREAM);
}

/* The kernel may go on to report the old file, which can be read and has a duplicate. The new one has ended, so that
 * poll () does not say that the report is wrong; the callback ignores the end. */
static void
test_replaced_by_ended (BackendFixture *fixture)
{
  for (Listener listener = BY_CALLBACK; listener <= BY_PLAIN_SOURCE; listener++)
    {
      const Situation row = { "replaced", READ, open_idle_socket };
      Listening listening;
      Situation self, ended;
      int duplicate;

      situation_open (&self, &row);
      put_byte (self.peer);
      listening_start (&listening, &self, fixture->selector, listener);
      g_main_context_iteration (listening.context, FALSE);
      duplicate = dup (self.fd);
      g_assert_no_errno (duplicate);
      ended = (Situation) { .peer = -1 };
      g_assert_true (open_half_closed (&ended));
      g_assert_cmpint (dup2 (ended.fd, self.fd), ==, self.fd);

      for (guint i = 0; i < 3000; i++)
        g_main_context_iteration (listening.context, FALSE);
      g_test_message ("%s: %u calls", listeners[listener], self.n_calls);
      g_assert_cmpuint (self.n_calls, <=, 400);

      listening_stop (&listening);
      close (duplicate);
      situation_close (&ended);
      situation_close (&self);
    }
}

static void
test_replaced (BackendFixture *fixture)
{
  for (Replacement replacement = 0; replacement < N_REPLACEMENTS; replacement++)
    for (Listener listener = BY_CALLBACK; listener < N_LISTENERS; listener++)
      {
        check_replaced (fixture, open_idle_socket, replacement, listener);
        if (replacement != DUP2) /* a pause ends by itself otherwise */
          check_replaced (fixture, open_closed_socket, replacement, listener);
      }
}

/* A signal goes to any thread that does not block it, so that this comes before there are other threads. */
static void
block_signals (void)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGUSR2);
  g_assert_cmpint (sigprocmask (SIG_BLOCK, &set, NULL), ==, 0);
}

/* A process with threads cannot have a namespace of users of its own. */
static void
prepare_host_name (void)
{
#ifdef __linux__
  has_own_host_name = unshare (CLONE_NEWUTS) == 0 || unshare (CLONE_NEWUSER | CLONE_NEWUTS) == 0;
#endif
}

int
main (int    argc,
      char **argv)
{
  block_signals ();
  prepare_host_name ();
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);
  open_glib_descriptors ();

  backend_add_both_modes ("situations/workers", test_workers);
  backend_add_both_modes ("situations/returners", test_returners);
  backend_add_both_modes ("situations/hang-up-again", test_hang_up_again);
  backend_add_both_modes ("situations/hang-up-for-another", test_hang_up_for_another);
  backend_add_for ("epoll", "situations/returns-at-once", test_returns_at_once);
  backend_add_both_modes ("situations/replaced", test_replaced);
  backend_add_both_modes ("situations/replaced-by-ended", test_replaced_by_ended);

  return g_test_run ();
}
