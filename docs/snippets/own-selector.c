/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A minimal selector over poll(). */

#include <errno.h>
#include <poll.h>
#include <sel-glib/sel-glib.h>

#include "input.h"

#define MY_TYPE_SELECTOR (my_selector_get_type ())
G_DECLARE_FINAL_TYPE (MySelector, my_selector, MY, SELECTOR, SelBaseSelector)

struct _MySelector
{
  SelBaseSelector parent_instance;

  GMutex mutex;    /* protects pollfds: update() may run in another thread during wait() */
  GArray *pollfds; /* of struct pollfd */
};

G_DEFINE_TYPE (MySelector, my_selector, SEL_TYPE_BASE_SELECTOR)

static gboolean
my_selector_open (SelBaseSelector  *selector,
                  GError          **error)
{
  MY_SELECTOR (selector)->pollfds = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
  return TRUE;
}

static void
my_selector_release (SelBaseSelector *selector,
                     gboolean         forked)
{
  g_clear_pointer (&MY_SELECTOR (selector)->pollfds, g_array_unref);
}

static gboolean
my_selector_update (SelBaseSelector  *selector,
                    int               fd,
                    SelEventMask      old_events,
                    SelEventMask      new_events,
                    GError          **error)
{
  MySelector *self = MY_SELECTOR (selector);
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->mutex);
  GArray *pollfds = self->pollfds;
  struct pollfd new_pollfd = { .fd = fd };

  if ((new_events & SEL_EVENT_READ) != 0)
    new_pollfd.events |= POLLIN;
  if ((new_events & SEL_EVENT_WRITE) != 0)
    new_pollfd.events |= POLLOUT;

  for (guint i = 0; i < pollfds->len; i++)
    {
      if (g_array_index (pollfds, struct pollfd, i).fd == fd)
        g_array_remove_index_fast (pollfds, i--);
    }

  if (new_events != 0)
    g_array_append_val (pollfds, new_pollfd);

  return TRUE;
}

static GArray *
my_selector_copy_pollfds (MySelector *self)
{
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&self->mutex);

  return g_array_copy (self->pollfds);
}

static gboolean
my_selector_wait (SelBaseSelector  *selector,
                  gdouble           timeout,
                  GError          **error)
{
  g_autoptr (GArray) pollfds = my_selector_copy_pollfds (MY_SELECTOR (selector));
  struct pollfd *first = (struct pollfd *) (void *) pollfds->data;
  /* Rounded up, and limited to the range of int. The library calls wait() again if there is time left. */
  int milliseconds = timeout >= 1000 ? 1000000 : (int) (timeout * 1000 + 0.999999);

  if (poll (first, pollfds->len, milliseconds) < 0)
    {
      g_set_error (error, SEL_OS_ERROR, errno, "poll: %s", g_strerror (errno));
      return FALSE;
    }

  for (guint i = 0; i < pollfds->len; i++)
    {
      SelEventMask events = 0;

      /* Hang-ups and errors make a descriptor ready for both reading and writing. */
      if ((first[i].revents & ~POLLOUT) != 0)
        events |= SEL_EVENT_READ;
      if ((first[i].revents & ~POLLIN) != 0)
        events |= SEL_EVENT_WRITE;
      if (events != 0)
        sel_base_selector_report (selector, first[i].fd, events);
    }

  return TRUE;
}

static void
my_selector_finalize (GObject *object)
{
  MySelector *self = MY_SELECTOR (object);

  G_OBJECT_CLASS (my_selector_parent_class)->finalize (object);
  g_mutex_clear (&self->mutex);
}

static void
my_selector_class_init (MySelectorClass *klass)
{
  SelBaseSelectorClass *selector_class = SEL_BASE_SELECTOR_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = my_selector_finalize;
  selector_class->open = my_selector_open;
  selector_class->update = my_selector_update;
  selector_class->wait = my_selector_wait;
  selector_class->release = my_selector_release;
}

static void
my_selector_init (MySelector *self)
{
  g_mutex_init (&self->mutex);
}

int
main (void)
{
  g_autoptr (SelBaseSelector) selector = g_object_new (MY_TYPE_SELECTOR, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) ready = NULL;

  if (!sel_base_selector_register (selector, open_input (), SEL_EVENT_READ, NULL, NULL, &error))
    g_error ("%s", error->message);

  ready = sel_base_selector_select (selector, SEL_WAIT_FOREVER, NULL, &error);
  g_print ("%u ready\n", ready->len);
  return 0;
}
