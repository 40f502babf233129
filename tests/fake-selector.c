/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-selector.h"

#include <math.h>
#include <stdarg.h>

typedef struct
{
  gboolean armed;
  GQuark   domain;
  int      code;
} FakeFailure;

typedef struct
{
  int   fd;
  guint events;
} FakeReport;

typedef struct
{
  GArray     *reports;
  FakeFunc    func;
  gpointer    user_data;
  FakeFailure failure;
} FakeStep;

struct _FakeSelector
{
  SelBaseSelector parent_instance;

  FakeFailure failures[FAKE_N_CALLS];
  GQueue      steps;
  FakeFunc    update_func;
  gpointer    update_data;

  GString    *log;
  GArray     *timeouts;
  GHashTable *masks;
  int         wake_fd;
  gboolean    is_open;
};

static guint n_releases;

G_DEFINE_TYPE (FakeSelector, fake_selector, SEL_TYPE_BASE_SELECTOR)

static void
fake_step_free (FakeStep *step)
{
  g_clear_pointer (&step->reports, g_array_unref);
  g_free (step);
}

static FakeStep *
fake_selector_push_step (FakeSelector *self)
{
  FakeStep *step = g_new0 (FakeStep, 1);

  step->reports = g_array_new (FALSE, FALSE, sizeof (FakeReport));
  g_queue_push_tail (&self->steps, step);

  return step;
}

static gboolean
fake_failure_take (FakeFailure  *failure,
                   GError      **error)
{
  if (!failure->armed)
    return FALSE;

  failure->armed = FALSE;
  if (failure->domain != 0)
    g_set_error (error, failure->domain, failure->code, "Scripted failure %d", failure->code);

  return TRUE;
}

static gboolean
fake_selector_wake_is_readable (FakeSelector *self)
{
  GPollFD poll_fd = { .fd = self->wake_fd, .events = G_IO_IN };

  return self->wake_fd >= 0 && g_poll (&poll_fd, 1, 0) > 0 && (poll_fd.revents & G_IO_IN) != 0;
}

static gboolean
fake_selector_open (SelBaseSelector  *selector,
                    GError          **error)
{
  FakeSelector *self = FAKE_SELECTOR (selector);

  g_string_append (self->log, "open ");
  g_assert_false (self->is_open);

  if (fake_failure_take (&self->failures[FAKE_OPEN], error))
    return FALSE;

  self->is_open = TRUE;
  self->wake_fd = -1;
  g_hash_table_remove_all (self->masks);

  return TRUE;
}

static gboolean
fake_selector_update (SelBaseSelector  *selector,
                      int               fd,
                      SelEventMask      old_events,
                      SelEventMask      new_events,
                      GError          **error)
{
  FakeSelector *self = FAKE_SELECTOR (selector);
  gboolean failed;

  g_assert_true (self->is_open);
  g_assert_cmpint (fd, >=, 0);

  if (self->wake_fd < 0)
    {
      g_assert_cmpuint (old_events, ==, 0);
      g_assert_cmpuint (new_events, ==, SEL_EVENT_READ);
      if (fake_failure_take (&self->failures[FAKE_WAKE], error))
        return FALSE;

      self->wake_fd = fd;
      return TRUE;
    }

  if (fd == self->wake_fd)
    return TRUE;

  g_string_append_printf (self->log, "update(%d,%u,%u) ", fd, old_events, new_events);
  g_assert_cmpuint (fake_selector_get_mask (self, fd), ==, old_events);

  if (self->update_func != NULL)
    self->update_func (self, self->update_data);

  failed = fake_failure_take (&self->failures[FAKE_UPDATE], error);

  /* Removing fails only for a closed descriptor, so it leaves the model in any case. */
  if (new_events == 0)
    g_hash_table_remove (self->masks, GINT_TO_POINTER (fd));
  else if (!failed)
    g_hash_table_insert (self->masks, GINT_TO_POINTER (fd), GUINT_TO_POINTER (new_events));

  return !failed;
}

static gboolean
fake_selector_run_step (FakeSelector  *self,
                        FakeStep      *step,
                        GError       **error)
{
  for (guint i = 0; i < step->reports->len; i++)
    {
      FakeReport *report = &g_array_index (step->reports, FakeReport, i);

      sel_base_selector_report (SEL_BASE_SELECTOR (self), report->fd, report->events);
    }

  if (step->func != NULL)
    step->func (self, step->user_data);

  return !fake_failure_take (&step->failure, error);
}

static gboolean
fake_selector_wait (SelBaseSelector  *selector,
                    gdouble           timeout,
                    GError          **error)
{
  FakeSelector *self = FAKE_SELECTOR (selector);
  FakeStep *step;
  gboolean woken;
  gboolean success;

  g_assert_true (self->is_open);
  g_assert_false (isnan (timeout));
  g_assert_cmpfloat (timeout, >=, 0);
  g_assert_false (signbit (timeout));

  g_string_append (self->log, "wait ");
  g_array_append_val (self->timeouts, timeout);

  woken = fake_selector_wake_is_readable (self);
  if (woken)
    sel_base_selector_report (selector, self->wake_fd, SEL_EVENT_READ);

  step = g_queue_pop_head (&self->steps);
  if (step == NULL)
    {
      if (isinf (timeout) && !woken)
        g_error ("An endless wait, and the script is at its end");
      return TRUE;
    }

  success = fake_selector_run_step (self, step, error);
  fake_step_free (step);

  return success;
}

static void
fake_selector_release (SelBaseSelector *selector,
                       gboolean         forked)
{
  FakeSelector *self = FAKE_SELECTOR (selector);

  g_string_append_printf (self->log, "release(%d) ", forked);
  g_assert_true (self->is_open);

  self->is_open = FALSE;
  self->wake_fd = -1;
  g_hash_table_remove_all (self->masks);
  n_releases++;
}

static void
fake_selector_finalize (GObject *object)
{
  FakeSelector *self = FAKE_SELECTOR (object);

  g_assert_false (self->is_open);
  g_queue_clear_full (&self->steps, (GDestroyNotify) fake_step_free);
  g_string_free (self->log, TRUE);
  g_array_unref (self->timeouts);
  g_hash_table_unref (self->masks);

  G_OBJECT_CLASS (fake_selector_parent_class)->finalize (object);
}

static void
fake_selector_class_init (FakeSelectorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  object_class->finalize = fake_selector_finalize;

  selector_class->open = fake_selector_open;
  selector_class->update = fake_selector_update;
  selector_class->wait = fake_selector_wait;
  selector_class->release = fake_selector_release;
}

static void
fake_selector_init (FakeSelector *self)
{
  g_queue_init (&self->steps);
  self->log = g_string_new (NULL);
  self->timeouts = g_array_new (FALSE, FALSE, sizeof (gdouble));
  self->masks = g_hash_table_new (NULL, NULL);
  self->wake_fd = -1;
}

FakeSelector *
fake_selector_new (void)
{
  return g_object_new (FAKE_TYPE_SELECTOR, NULL);
}

void
fake_selector_fail (FakeSelector *self,
                    FakeCall      call,
                    GQuark        domain,
                    int           code)
{
  self->failures[call] = (FakeFailure) { .armed = TRUE, .domain = domain, .code = code };
}

void
fake_selector_push (FakeSelector *self,
                    ...)
{
  FakeStep *step = fake_selector_push_step (self);
  va_list args;
  int fd;

  va_start (args, self);
  while ((fd = va_arg (args, int)) != FAKE_END)
    {
      FakeReport report = { .fd = fd, .events = va_arg (args, guint) };

      g_array_append_val (step->reports, report);
    }
  va_end (args);
}

void
fake_selector_push_call (FakeSelector *self,
                         FakeFunc      func,
                         gpointer      user_data)
{
  FakeStep *step = fake_selector_push_step (self);

  step->func = func;
  step->user_data = user_data;
}

void
fake_selector_push_error (FakeSelector *self,
                          GQuark        domain,
                          int           code)
{
  FakeStep *step = fake_selector_push_step (self);

  step->failure = (FakeFailure) { .armed = TRUE, .domain = domain, .code = code };
}

guint
fake_selector_get_n_steps (FakeSelector *self)
{
  return g_queue_get_length (&self->steps);
}

void
fake_selector_set_update_func (FakeSelector *self,
                               FakeFunc      func,
                               gpointer      user_data)
{
  self->update_func = func;
  self->update_data = user_data;
}

void
fake_selector_assert_log (FakeSelector *self,
                          const char   *format,
                          ...)
{
  g_autofree char *expected = NULL;
  va_list args;

  va_start (args, format);
  expected = g_strdup_vprintf (format, args);
  va_end (args);

  g_strchomp (self->log->str);
  g_assert_cmpstr (self->log->str, ==, expected);
  fake_selector_clear_log (self);
}

void
fake_selector_clear_log (FakeSelector *self)
{
  g_string_truncate (self->log, 0);
  g_array_set_size (self->timeouts, 0);
}

const char *
fake_selector_get_log (FakeSelector *self)
{
  return self->log->str;
}

guint
fake_selector_get_n_waits (FakeSelector *self)
{
  return self->timeouts->len;
}

gdouble
fake_selector_get_timeout (FakeSelector *self,
                           guint         index)
{
  g_assert_cmpuint (index, <, self->timeouts->len);

  return g_array_index (self->timeouts, gdouble, index);
}

SelEventMask
fake_selector_get_mask (FakeSelector *self,
                        int           fd)
{
  return GPOINTER_TO_UINT (g_hash_table_lookup (self->masks, GINT_TO_POINTER (fd)));
}

void
fake_selector_forget (FakeSelector *self,
                      int           fd)
{
  g_hash_table_remove (self->masks, GINT_TO_POINTER (fd));
}

guint
fake_selector_get_n_watched (FakeSelector *self)
{
  return g_hash_table_size (self->masks);
}

int
fake_selector_get_wake_fd (FakeSelector *self)
{
  return self->wake_fd;
}

guint
fake_selector_get_n_releases (void)
{
  return n_releases;
}
