/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "syscalls.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Numbers without a system call: these calls fail with ENOSYS, but a tracer sees them. */
#define BEGIN_MARK 0x5e1000
#define END_MARK   0x5e1001

void
syscalls_begin (void)
{
  syscall (BEGIN_MARK);
}

void
syscalls_end (gint64 n_units)
{
  syscall (END_MARK, n_units);
}

/* Resumes the child until its next system call. Returns FALSE if it has exited or was killed by a signal. */
static gboolean
syscalls_next (pid_t child)
{
  int signal_number = 0;

  for (;;)
    {
      int status;

      if (ptrace (PTRACE_SYSCALL, child, NULL, GINT_TO_POINTER (signal_number)) < 0)
        return FALSE;

      while (waitpid (child, &status, 0) < 0)
        {
          if (errno != EINTR)
            return FALSE;
        }

      if (!WIFSTOPPED (status))
        return FALSE;

      if (WSTOPSIG (status) == (SIGTRAP | 0x80))
        return TRUE;

      signal_number = WSTOPSIG (status);
    }
}

static gboolean
syscalls_watch (pid_t         child,
                SyscallCount *count)
{
  gint64 n_calls = 0;

  while (syscalls_next (child))
    {
      struct ptrace_syscall_info info;

      if (ptrace (PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0)
        return FALSE;

      if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        continue;

      if (info.entry.nr == END_MARK)
        {
          count->n_calls = n_calls;
          count->n_units = (gint64) info.entry.args[0];
          return TRUE;
        }

      n_calls = info.entry.nr == BEGIN_MARK ? 0 : n_calls + 1;
    }

  return FALSE;
}

static G_NORETURN void
syscalls_run_child (SyscallFunc   func,
                    gconstpointer data)
{
  if (ptrace (PTRACE_TRACEME, 0, NULL, NULL) < 0)
    _exit (1);

  raise (SIGSTOP);
  func (data);
  _exit (0);
}

gboolean
syscalls_count (SyscallFunc    func,
                gconstpointer  data,
                SyscallCount  *count,
                const char   **reason)
{
  gboolean success = FALSE;
  pid_t child = fork ();
  int status;

  if (child == 0)
    syscalls_run_child (func, data);

  if (child < 0 || waitpid (child, &status, 0) < 0 || !WIFSTOPPED (status) ||
      ptrace (PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
    {
      *reason = "tracing a process is not allowed here";
    }
  else
    {
      success = syscalls_watch (child, count);
      *reason = success ? NULL : "the traced process came to no end";
    }

  if (child > 0)
    {
      kill (child, SIGKILL);
      waitpid (child, &status, 0);
    }

  return success;
}
