/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The readiness of pipes and sockets in each state. A descriptor is registered for READ, for WRITE and for both,
 * before it gets into the state and after that. */

#include "backend-cases.h"
#include "system-facts.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void
state_none (int fds[2])
{
}

static void
state_swap (int fds[2])
{
  int fd = fds[0];

  fds[0] = fds[1];
  fds[1] = fd;
}

static void
open_pipe_writer (int fds[2])
{
  open_pipe (fds);
  state_swap (fds);
}

static void
open_unconnected (int fds[2])
{
  open_pipe (fds);
  close (fds[0]);
  fds[0] = open_socket (AF_INET, FALSE);
}

static void
open_listening (int fds[2])
{
  struct sockaddr_in address = { .sin_family = AF_INET };

  address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  open_unconnected (fds);
  g_assert_no_errno (bind (fds[0], (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fds[0], 1));
}

static void
state_data (int fds[2])
{
  put_byte (fds[1]);
}

static void
close_peer (int fds[2])
{
  close (fds[1]);
  fds[1] = -1;
}

static void
state_data_and_close (int fds[2])
{
  put_byte (fds[1]);
  close_peer (fds);
}

static void
state_full (int fds[2])
{
  fill (fds[0]);
}

static void
state_full_and_close (int fds[2])
{
  fill (fds[0]);
  close_peer (fds);
}

static void
state_full_and_data (int fds[2])
{
  fill (fds[0]);
  put_byte (fds[1]);
}

static void
state_peer_shut_write (int fds[2])
{
  g_assert_no_errno (shutdown (fds[1], SHUT_WR));
}

static void
state_shut_write (int fds[2])
{
  g_assert_no_errno (shutdown (fds[0], SHUT_WR));
}

static void
state_shut_both (int fds[2])
{
  g_assert_no_errno (shutdown (fds[0], SHUT_RDWR));
}

typedef struct
{
  const char *name;
  void      (*open)   (int fds[2]);  /* fds[0] is watched */
  void      (*change) (int fds[2]);
  const char *ready;                 /* expected events if registered for READ, WRITE, both. NULL: ask the system */
} State;

static const State states[] =
{
  { "pipe reader, empty", open_pipe, state_none, NULL },
  { "pipe reader, data", open_pipe, state_data, NULL },
  { "pipe reader, writer gone", open_pipe, close_peer, "R W RW" },
  { "pipe reader, data and writer gone", open_pipe, state_data_and_close, "R W RW" },
  { "pipe writer, room", open_pipe_writer, state_none, "- W W" },
  { "pipe writer, full", open_pipe_writer, state_full, "- - -" },
  { "pipe writer, reader gone", open_pipe_writer, close_peer, "R W RW" },
  { "pipe writer, full and reader gone", open_pipe_writer, state_full_and_close, "R W RW" },
  { "socket, idle", open_socketpair, state_none, "- W W" },
  { "socket, data", open_socketpair, state_data, "R W RW" },
  { "socket, full", open_socketpair, state_full, "- - -" },
  { "socket, full and data", open_socketpair, state_full_and_data, "R - R" },
  { "socket, peer writes no more", open_socketpair, state_peer_shut_write, "R W RW" },
  { "socket, we write no more", open_socketpair, state_shut_write, "- W W" },
  { "socket, shut down", open_socketpair, state_shut_both, "R W RW" },
  { "socket, peer gone", open_socketpair, close_peer, "R W RW" },
  { "socket, data and peer gone", open_socketpair, state_data_and_close, "R W RW" },
  { "socket, full and peer gone", open_socketpair, state_full_and_close, "R W RW" },
  { "socket, never connected", open_unconnected, state_none, NULL },
  { "socket, listening", open_listening, state_none, "- - -" },
};

/* The expected events, as in State. */
static char *
get_ready (const State *state)
{
  SelEventMask ready;
  int fds[2];

  if (state->ready != NULL)
    return g_strdup (state->ready);

  state->open (fds);
  state->change (fds);
  ready = system_poll (fds[0]);
  close (fds[0]);
  if (fds[1] >= 0)
    close (fds[1]);

  return g_strdup_printf ("%s %s %s", mask_to_string (ready & SEL_EVENT_READ),
                          mask_to_string (ready & SEL_EVENT_WRITE), mask_to_string (ready));
}

static void
check_state (BackendFixture *fixture,
             const State    *state,
             gboolean        watch_first)
{
  g_autoptr (GString) got = g_string_new (state->name);
  g_autofree char *ready = get_ready (state);
  g_auto (GStrv) words = g_strsplit (ready, " ", -1);
  g_autofree char *want = g_strdup_printf ("%s: %s %s %s", state->name, words[0], words[1], words[2]);

  g_string_append_c (got, ':');

  for (SelEventMask interest = SEL_EVENT_READ; interest <= BOTH; interest++)
    {
      SelReadyEvent event = { .events = 0 };
      g_autoptr (GError) error = NULL;
      gssize n;
      int fds[2];

      state->open (fds);

      if (watch_first)
        watch (fixture->selector, fds[0], interest);

      state->change (fds);

      if (!watch_first)
        watch (fixture->selector, fds[0], interest);

      n = sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, &error);
      g_assert_no_error (error);

      if (n == 1)
        {
          g_assert_cmpint (event.fd, ==, fds[0]);
          g_assert_cmpuint (event.events, !=, 0);
          g_assert_cmpuint (event.events & ~interest, ==, 0);
        }

      g_string_append_printf (got, " %s", mask_to_string (n == 1 ? event.events : 0));

      /* Readiness is level-triggered: the next call reports it again. */
      g_assert_cmpint (sel_base_selector_select_ready (fixture->selector,
                                                       n == 1 ? SEL_WAIT_FOREVER : 0, &event, 1,
                                                       NULL, &error), ==, n);

      unwatch (fixture->selector, fds[0]);
      close (fds[0]);

      if (fds[1] >= 0)
        close (fds[1]);
    }

  g_assert_cmpstr (got->str, ==, want);
}

static void
test_states_watched_before (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    check_state (fixture, &states[i], TRUE);
}

static void
test_states_watched_after (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    check_state (fixture, &states[i], FALSE);
}

/* The same states for registrations that modify () changes. */
static void
test_states_modified (BackendFixture *fixture)
{
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    {
      g_autofree char *ready = get_ready (&states[i]);
      g_auto (GStrv) want = g_strsplit (ready, " ", -1);
      int fds[2];

      g_test_message ("%s", states[i].name);
      states[i].open (fds);
      watch (fixture->selector, fds[0], BOTH);
      states[i].change (fds);

      for (guint j = 0; j < 12; j++)
        {
          SelEventMask interest = "\1\2\3\2\1\3\1\2\1\3\2\3"[j];
          SelReadyEvent event = { .events = 0 };

          rewatch (fixture->selector, fds[0], interest);
          sel_base_selector_select_ready (fixture->selector, 0, &event, 1, NULL, NULL);
          g_assert_cmpstr (mask_to_string (event.events), ==, want[interest - 1]);
        }

      unwatch (fixture->selector, fds[0]);
      close (fds[0]);

      if (fds[1] >= 0)
        close (fds[1]);
    }
}

/* Data can still be read after the peer has hung up. */
static void
test_data_before_hang_up (BackendFixture *fixture)
{
  int fds[2];
  char buffer[8];

  open_socketpair (fds);
  watch (fixture->selector, fds[0], SEL_EVENT_READ);
  g_assert_cmpint (write (fds[1], "abc", 3), ==, 3);
  close (fds[1]);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 3);
  assert_ready (fixture->selector, 0, fds[0], SEL_EVENT_READ, -1);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 0);
  close (fds[0]);
}

/* A listening socket is readable when a connection can be accepted. */
static void
test_accept (BackendFixture *fixture)
{
  struct sockaddr_in address = { .sin_family = AF_INET };
  socklen_t length = sizeof address;
  int fds[2];
  int client;
  int accepted;

  open_listening (fds);
  g_assert_no_errno (getsockname (fds[0], (struct sockaddr *) &address, &length));
  watch (fixture->selector, fds[0], BOTH);
  assert_ready (fixture->selector, 0, -1);

  client = open_socket (AF_INET, TRUE);

  if (connect (client, (struct sockaddr *) &address, length) < 0)
    g_assert_cmpint (errno, ==, EINPROGRESS);

  assert_ready (fixture->selector, SEL_WAIT_FOREVER, fds[0], SEL_EVENT_READ, -1);
  accepted = accept (fds[0], NULL, NULL);
  g_assert_no_errno (accepted);
  assert_ready (fixture->selector, 0, -1);

  close (accepted);
  close (client);
  close_pair (fds);
}

static const BackendTest cases[] =
{
  { "states-watched-before", test_states_watched_before },
  { "states-watched-after", test_states_watched_after },
  { "states-modified", test_states_modified },
  { "data-before-hang-up", test_data_before_hang_up },
  { "accept", test_accept },
};

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);

  backend_add_cases (cases, G_N_ELEMENTS (cases));

  return g_test_run ();
}
