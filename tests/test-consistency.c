/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The manual's table of situations in which the mechanisms of the operating systems behave differently.
 *
 * Each row is tested with every backend. With --print, the program prints the page docs/consistency.xml. Without
 * it, the program compares the page with that file.
 */

#include "backends.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOTH ((SelEventMask) (SEL_EVENT_READ | SEL_EVENT_WRITE))

/* The function of a row returns one of these texts. */
#define NOTHING "nothing"
#define READ_ONLY "ready to read"
#define WRITE_ONLY "ready to write"
#define READ_WRITE "ready to read and write"

static const char *
text_of_mask (SelEventMask events)
{
  static const char *const texts[] = { NOTHING, READ_ONLY, WRITE_ONLY, READ_WRITE };

  return texts[events & BOTH];
}

/* The events that a wait with a timeout of 0 reports for @fd. */
static const char *
text_of_ready (SelBaseSelector *selector,
               int              fd)
{
  SelReadyEvent events[16];
  g_autoptr (GError) error = NULL;
  gssize n = sel_base_selector_select_ready (selector, 0, events, G_N_ELEMENTS (events), NULL, &error);

  g_assert_no_error (error);
  for (gssize i = 0; i < n; i++)
    if (events[i].fd == fd)
      return text_of_mask (events[i].events);

  return NOTHING;
}

static const char *
text_of_error (GError *error)
{
  if (error == NULL)
    return "success";
  if (g_error_matches (error, SEL_OS_ERROR, EBADF))
    return "EBADF";
  if (g_error_matches (error, SEL_OS_ERROR, EPERM))
    return "EPERM";
  if (error->domain != SEL_SELECTOR_ERROR)
    return "another error";

  switch ((SelSelectorError) error->code)
    {
    case SEL_SELECTOR_ERROR_CLOSED:
      return "CLOSED";
    case SEL_SELECTOR_ERROR_INVALID_FILE:
      return "INVALID_FILE";
    case SEL_SELECTOR_ERROR_INVALID_EVENTS:
      return "INVALID_EVENTS";
    case SEL_SELECTOR_ERROR_INVALID_TIMEOUT:
      return "INVALID_TIMEOUT";
    case SEL_SELECTOR_ERROR_NOT_REGISTERED:
      return "NOT_REGISTERED";
    case SEL_SELECTOR_ERROR_ALREADY_REGISTERED:
      return "ALREADY_REGISTERED";
    case SEL_SELECTOR_ERROR_FORKED:
      return "FORKED";
    case SEL_SELECTOR_ERROR_FAILED:
    case SEL_SELECTOR_ERROR_NOT_SUPPORTED:
    case SEL_SELECTOR_ERROR_BUSY:
    default:
      return "another error";
    }
}

static const char *
try_to_register (SelBaseSelector *selector,
                 int              fd,
                 SelEventMask     events)
{
  g_autoptr (GError) error = NULL;

  sel_base_selector_register (selector, fd, events, NULL, NULL, &error);

  return text_of_error (error);
}

static const char *
file_at (SelBaseSelector *selector,
         const char      *path)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  const char *text = try_to_register (selector, fd, BOTH);

  if (g_str_equal (text, "success"))
    text = text_of_ready (selector, fd);
  close (fd);

  return text;
}

static const char *
regular_file (SelBaseSelector *selector)
{
  return file_at (selector, "/bin/sh");
}

static const char *
directory (SelBaseSelector *selector)
{
  return file_at (selector, "/");
}

static const char *
regular_file_emulated (SelBaseSelector *selector)
{
  sel_base_selector_set_emulate_always_ready (selector, TRUE);

  return regular_file (selector);
}

static const char *
register_closed (SelBaseSelector *selector)
{
  return try_to_register (selector, closed_fd (), SEL_EVENT_READ);
}

static const char *
register_path (SelBaseSelector *selector)
{
#ifdef O_PATH
  int fd = open ("/", O_PATH | O_CLOEXEC);
  const char *text = try_to_register (selector, fd, SEL_EVENT_READ);

  close (fd);

  return text;
#else
  return "EBADF";
#endif
}

static const char *
register_negative (SelBaseSelector *selector)
{
  return try_to_register (selector, -1, SEL_EVENT_READ);
}

static const char *
register_no_events (SelBaseSelector *selector)
{
  return try_to_register (selector, 0, 0);
}

static const char *
register_twice (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_READ);
  text = try_to_register (selector, fds[0], SEL_EVENT_WRITE);
  close_pair (fds);

  return text;
}

static const char *
close_registered (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];

  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], BOTH);
  close (fds[0]);
  text = text_of_ready (selector, fds[0]);
  close (fds[1]);

  return text;
}

static const char *
close_registered_with_dup (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];
  int copy;

  open_pipe (fds);
  put_byte (fds[1]);
  copy = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  watch (selector, fds[0], SEL_EVENT_READ);
  close (fds[0]);
  text = text_of_ready (selector, fds[0]);
  close (fds[1]);
  close (copy);

  return text;
}

static const char *
unregister_after_close (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[0], BOTH);
  close_pair (fds);
  sel_base_selector_unregister (selector, fds[0], &error);

  return text_of_error (error);
}

static const char *
modify_after_close (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[0], BOTH);
  close_pair (fds);
  sel_base_selector_modify_events (selector, fds[0], SEL_EVENT_READ, &error);

  return text_of_error (error);
}

static const char *
writer_gone (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[0], SEL_EVENT_WRITE);
  close (fds[1]);
  text = text_of_ready (selector, fds[0]);
  close (fds[0]);

  return text;
}

/* A wait sees the full pipe before the reader goes. */
static const char *
full_and_reader_gone (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];

  open_pipe (fds);
  fill (fds[1]);
  watch (selector, fds[1], SEL_EVENT_WRITE);
  assert_ready (selector, 0, -1);
  close (fds[0]);
  text = text_of_ready (selector, fds[1]);
  close (fds[1]);

  return text;
}

static const char *
reader_gone (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];

  open_pipe (fds);
  watch (selector, fds[1], BOTH);
  close (fds[0]);
  text = text_of_ready (selector, fds[1]);
  close (fds[1]);

  return text;
}

static const char *
large_number (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];
  int fd;

  open_pipe (fds);
  put_byte (fds[1]);
  fd = fcntl (fds[0], F_DUPFD_CLOEXEC, (int) MIN (3000, raise_fd_limit () - 1));
  g_assert_no_errno (fd);
  watch (selector, fd, SEL_EVENT_READ);
  text = text_of_ready (selector, fd);
  close_pair (fds);
  close (fd);

  return text;
}

static const char *
not_a_number (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready G_GNUC_UNUSED = sel_base_selector_select (selector, NAN, NULL, &error);

  return text_of_error (error);
}

static const char *
negative_timeout (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = sel_base_selector_select (selector, -1, NULL, &error);

  g_assert_no_error (error);

  return ready->len == 0 ? "does not wait" : "something";
}

static const char *
select_after_close (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = NULL;

  sel_base_selector_close (selector);
  ready = sel_base_selector_select (selector, 0, NULL, &error);

  return text_of_error (error);
}

static gpointer
write_to_pipe (gpointer data)
{
  put_byte (GPOINTER_TO_INT (data));

  return NULL;
}

typedef struct
{
  SelBaseSelector *selector;
  int fds[2];
} Other;

static gpointer
register_elsewhere (gpointer data)
{
  Other *other = data;

  watch (other->selector, other->fds[0], SEL_EVENT_READ);

  return write_to_pipe (GINT_TO_POINTER (other->fds[1]));
}

static const char *
register_during_wait (SelBaseSelector *selector)
{
  g_autoptr (GPtrArray) ready = NULL;
  Other other = { .selector = selector };
  GThread *thread;

  open_pipe (other.fds);
  thread = g_thread_new ("register", register_elsewhere, &other);
  ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, NULL);
  g_thread_join (thread);
  close_pair (other.fds);

  return ready != NULL && ready->len == 1 ? "seen at once" : "not seen";
}

static gpointer
close_elsewhere (gpointer data)
{
  sel_base_selector_close (data);

  return NULL;
}

static const char *
close_during_wait (SelBaseSelector *selector)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  GThread *thread = g_thread_new ("close", close_elsewhere, selector);

  ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);
  g_thread_join (thread);

  return text_of_error (error);
}

static const char *
use_in_child (SelBaseSelector *selector)
{
  pid_t pid = fork ();
  int status;

  g_assert_no_errno (pid);
  if (pid == 0)
    end_child (g_str_equal (try_to_register (selector, 0, SEL_EVENT_READ), "FORKED") ? 42 : 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);

  return WIFEXITED (status) && WEXITSTATUS (status) == 42 ? "FORKED" : "something else";
}

/* Changes that a child process makes to its copy must not affect the parent. */
static const char *
close_in_child (SelBaseSelector *selector)
{
  const char *text;
  int fds[2];
  int status;
  pid_t pid;

  open_pipe (fds);
  put_byte (fds[1]);
  watch (selector, fds[0], SEL_EVENT_READ);
  pid = fork ();
  g_assert_no_errno (pid);
  if (pid == 0)
    {
      sel_base_selector_unregister (selector, fds[0], NULL);
      sel_base_selector_close (selector);
      end_child (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  text = text_of_ready (selector, fds[0]);
  close_pair (fds);

  return text;
}

static const char *
short_wait (SelBaseSelector *selector)
{
  gint64 start = g_get_monotonic_time ();
  g_autoptr (GPtrArray) ready = sel_base_selector_select (selector, 2e-4, NULL, NULL);

  /* The clock is read in whole microseconds. */
  return ready != NULL && g_get_monotonic_time () - start + 1 >= 200 ? "does not return early" : "too early";
}


/* The rows. A backend in @exceptions has the result @other instead of @result. */
static const struct
{
  const char *situation;
  const char *(*func) (SelBaseSelector *selector);
  const char *result;
  const char *exceptions; /* names of backends, separated by commas, or NULL */
  const char *other;
} rows[] = {
  { "register a regular file", regular_file, READ_WRITE, "epoll, kqueue", "EPERM" },
  { "register a directory", directory, READ_WRITE, "epoll, kqueue", "EPERM" },
  { "a regular file with `emulate-always-ready`", regular_file_emulated, READ_WRITE, NULL, NULL },
  { "register a closed descriptor", register_closed, "EBADF", NULL, NULL },
  { "register a descriptor opened with `O_PATH`", register_path, "EBADF", NULL, NULL },
  { "register a negative number", register_negative, "INVALID_FILE", NULL, NULL },
  { "register for no events", register_no_events, "INVALID_EVENTS", NULL, NULL },
  { "register twice", register_twice, "ALREADY_REGISTERED", NULL, NULL },
  { "register descriptor number 3000 with data to read", large_number, READ_ONLY, NULL, NULL },
  { "close a registered descriptor", close_registered, NOTHING, NULL, NULL },
  { "close a registered descriptor while a duplicate is open", close_registered_with_dup, NOTHING, "epoll", READ_ONLY },
  { "unregister a descriptor after closing it", unregister_after_close, "success", NULL, NULL },
  { "modify a descriptor after closing it", modify_after_close, "EBADF", NULL, NULL },
  { "read end of a pipe without a writer, registered for writing only", writer_gone, WRITE_ONLY,
    NULL, NULL },
  { "full write end of a pipe, waited for, then without a reader", full_and_reader_gone, WRITE_ONLY, NULL, NULL },
  { "write end of a pipe without a reader", reader_gone, READ_WRITE, NULL, NULL },
  { "register from another thread during a wait", register_during_wait, "seen at once", NULL, NULL },
  { "close the selector from another thread during a wait", close_during_wait, "CLOSED", NULL, NULL },
  { "use the selector after closing it", select_after_close, "CLOSED", NULL, NULL },
  { "register in a child process", use_in_child, "FORKED", NULL, NULL },
  { "unregister and close in a child process, wait in the parent", close_in_child, READ_ONLY, NULL, NULL },
  { "a wait of 200 microseconds with nothing ready", short_wait, "does not return early", NULL, NULL },
  { "a negative timeout", negative_timeout, "does not wait", NULL, NULL },
  { "a timeout that is not a number", not_a_number, "INVALID_TIMEOUT", NULL, NULL },
};

/* The reports of the kernels with kqueue when the other end of a pipe or of a socket has gone. */
static const struct
{
  const char *situation;
  const char *freebsd;
  const char *netbsd;
  const char *openbsd;
  const char *macos;
} systems[] = {
  { "how this is known", "read: `sys_pipe.c`, `uipc_socket.c`, 2022 and later",
    "the kernel's code was run, as of 2016; read: 10.x, and `fifo_vnops.c` of earlier versions",
    "read: `sys_pipe.c`, `uipc_socket.c`, `sys_generic.c`, `fifo_vnops.c`, 2021 and later",
    "read: `sys_pipe.c`, `uipc_socket.c`, `sys_generic.c`, `vfs_vnops.c` of xnu, macOS 10.15 and later" },
  { "`poll()`, local socket, the peer has closed", "`POLLIN`, `POLLOUT`, `POLLHUP`",
    "`POLLIN`, `POLLOUT`; never `POLLHUP`", "`POLLIN`, `POLLHUP`", "`POLLIN`, `POLLHUP`" },
  { "`poll()`, socket, the peer writes no more", "`POLLIN`", "`POLLIN`", "`POLLIN`",
    "`POLLIN`, `POLLHUP`; `POLLOUT` only if nothing else is asked for" },
  { "kqueue, local socket, the peer has closed", "`EV_EOF` of both filters", "`EV_EOF` of both filters",
    "`EV_EOF` of both filters", "`EV_EOF` of both filters" },
  { "kqueue and `poll()`, socket that was never connected", "ready for nothing (`poll()`)", "ready for nothing",
    "ready for nothing (kqueue)", "ready for nothing" },
  { "`poll()`, pipe, the other end has gone", "`POLLHUP` at both ends", "`POLLHUP` at both ends",
    "`POLLHUP` at both ends", "`POLLHUP` at both ends" },
  { "kqueue, full write end, the reader goes", "`EV_EOF` of the write filter, once; the filter is removed then",
    "nothing from the write filter; `EV_EOF` of a read filter", "as NetBSD", "`EV_EOF` of both filters" },
  { "`pipe()`", "both ends are open for reading and writing", "one way", "as FreeBSD", "one way" },
  { "kqueue, read filter of a write end", "reports the end of the file, and data from the other end",
    "reports the end of the file only", "as FreeBSD", "as NetBSD" },
  { "kqueue, write filter of a read end", "is ready to write", "reports nothing", "as FreeBSD",
    "reports the end of the file only" },
  { "kqueue, write filter of a pipe whose other end has gone", "fails with `EPIPE`", "fails with `EBADF`",
    "fails with `EPIPE`", "accepted, reports `EV_EOF`" },
  { "kqueue, named pipe, the other end has gone", "`EV_EOF`",
    "`EV_EOF` to a reader; a writer is always ready, and hears nothing", "`EV_EOF`",
    "nothing; the same with `poll()`" },
  { "kqueue, named pipe, filter for a direction in which it is not open", "accepted, reports nothing",
    "accepted, reports the bytes or the space in the pipe", "fails with `EINVAL`", "as NetBSD" },
  { "`fstat()` of a pipe", "has an inode number", "no inode number; the creation time", "as NetBSD",
    "not looked at" },
};

static gboolean
is_exception (const char    *exceptions,
              const Backend *backend)
{
  g_auto (GStrv) names = g_strsplit (exceptions != NULL ? exceptions : "", ", ", -1);

  return g_strv_contains ((const char *const *) names, backend->name);
}

static void
test_rows (BackendFixture *fixture)
{
  const char *name = fixture->backend->name;

  g_clear_object (&fixture->selector);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (SelBaseSelector) selector = fixture->backend->new_selector (NULL);
      const char *expected = is_exception (rows[i].exceptions, fixture->backend) ? rows[i].other : rows[i].result;
      const char *got = rows[i].func (selector);

      g_test_message ("%s: %s: %s", name, rows[i].situation, got);
      g_assert_cmpstr (got, ==, expected);
    }
}

/* Appends @text as DocBook; text in `backquotes` becomes literal. */
static void
append_entry (GString    *page,
              const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "`", -1);

  g_string_append (page, "          <entry>");
  for (guint i = 0; parts[i] != NULL; i++)
    g_string_append_printf (page, i % 2 != 0 ? "<literal>%s</literal>" : "%s", parts[i]);
  g_string_append (page, "</entry>\n");
}

static void
append_systems (GString *page)
{
  g_string_append (page,
    "  <section>\n"
    "    <title>Closed pipes and sockets on the BSDs and macOS</title>\n\n"
    "    <para>\n"
    "      The tests of sel-glib have not been run on these systems. The following table was made from the sources of\n"
    "      their kernels, and for NetBSD also by running the code of its kernel.\n"
    "    </para>\n\n"
    "    <para>\n"
    "      sel-glib makes up for most of these differences. It reports the end of a pipe or of a named pipe for each\n"
    "      registered event, whichever filter tells it: where that of the event does not, it adds the other one. It\n"
    "      does not report what a filter says about a direction in which the pipe is not open. On FreeBSD it adds the\n"
    "      write filter again after the report, and treats the descriptor as always ready when that is refused. On\n"
    "      macOS it asks <function>poll()</function> for each event alone after a hang-up that one direction may have\n"
    "      caused.\n"
    "    </para>\n\n"
    "    <para>\n"
    "      These differences remain. On macOS, kqueue and <function>poll()</function> do not tell the end of a named\n"
    "      pipe; a #SelSelectSelector does. On NetBSD, a named pipe that is open for writing is always ready to write\n"
    "      with kqueue.\n"
    "    </para>\n\n"
    "    <informaltable>\n"
    "      <tgroup cols=\"5\">\n"
    "        <thead>\n"
    "          <row>\n"
    "          <entry></entry>\n"
    "          <entry>FreeBSD</entry>\n"
    "          <entry>NetBSD</entry>\n"
    "          <entry>OpenBSD</entry>\n"
    "          <entry>macOS</entry>\n"
    "          </row>\n"
    "        </thead>\n"
    "        <tbody>\n");
  for (guint i = 0; i < G_N_ELEMENTS (systems); i++)
    {
      g_string_append (page, "        <row>\n");
      append_entry (page, systems[i].situation);
      append_entry (page, systems[i].freebsd);
      append_entry (page, systems[i].netbsd);
      append_entry (page, systems[i].openbsd);
      append_entry (page, systems[i].macos);
      g_string_append (page, "        </row>\n");
    }
  g_string_append (page, "        </tbody>\n      </tgroup>\n    </informaltable>\n  </section>\n");
}

static char *
make_page (void)
{
  GString *page = g_string_new (
    "<?xml version=\"1.0\"?>\n"
    "<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n"
    "<!-- Printed by tests/test-consistency.c: change it there. -->\n"
    "<!DOCTYPE chapter PUBLIC \"-//OASIS//DTD DocBook XML V4.3//EN\"\n"
    "               \"http://www.oasis-open.org/docbook/xml/4.3/docbookx.dtd\">\n"
    "<chapter id=\"consistency\">\n"
    "  <title>Behaviour in unusual situations</title>\n\n"
    "  <para>\n"
    "    The mechanisms of the operating systems behave differently in unusual situations. sel-glib behaves in the\n"
    "    same way with all of them, except for the cases in the last column. Each row is a test that is run with\n"
    "    select, poll, epoll, /dev/poll and kqueue.\n"
    "  </para>\n\n"
    "  <informaltable>\n"
    "    <tgroup cols=\"3\">\n"
    "      <thead>\n"
    "        <row>\n"
    "          <entry>situation</entry>\n"
    "          <entry>result</entry>\n"
    "          <entry>exceptions</entry>\n"
    "        </row>\n"
    "      </thead>\n"
    "      <tbody>\n");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *exceptions = rows[i].exceptions != NULL
                                      ? g_strconcat (rows[i].exceptions, ": ", rows[i].other, NULL)
                                      : g_strdup ("");

      g_string_append (page, "        <row>\n");
      append_entry (page, rows[i].situation);
      append_entry (page, rows[i].result);
      append_entry (page, exceptions);
      g_string_append (page, "        </row>\n");
    }
  g_string_append (page, "      </tbody>\n    </tgroup>\n  </informaltable>\n\n");
  append_systems (page);
  g_string_append (page, "</chapter>\n");

  return g_string_free (page, FALSE);
}

static void
test_document (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "docs", "consistency.xml", NULL);
  g_autofree char *page = make_page ();
  g_autofree char *document = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &document, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (document, ==, page);
}

int
main (int   argc,
      char *argv[])
{
  if (argc == 2 && g_str_equal (argv[1], "--print"))
    {
      g_autofree char *page = make_page ();

      fputs (page, stdout);
      return 0;
    }

  g_test_init (&argc, &argv, NULL);
  backend_add ("consistency", test_rows);
  g_test_add_func ("/consistency/document", test_document);

  return g_test_run ();
}
