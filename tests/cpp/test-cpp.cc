/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The library in C++. */

#include <glib-unix.h>
#include <sel-glib/sel-glib.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace
{

template <typename T> struct Unref
{
  void
  operator() (T *object) const
  {
    g_object_unref (object);
  }
};

using Selector = std::unique_ptr<SelBaseSelector, Unref<SelBaseSelector>>;
using Events = std::unique_ptr<GPtrArray, decltype (&g_ptr_array_unref)>;

class Pipe
{
public:
  Pipe ()
  {
    g_autoptr (GError) error = nullptr;

    g_unix_open_pipe (fds, FD_CLOEXEC, &error);
    g_assert_no_error (error);
  }

  ~Pipe ()
  {
    close (fds[0]);
    close (fds[1]);
  }

  Pipe (const Pipe &) = delete;
  Pipe &operator= (const Pipe &) = delete;

  int
  reader () const
  {
    return fds[0];
  }

  int
  writer () const
  {
    return fds[1];
  }

  void
  write_byte () const
  {
    g_assert_true (write (fds[1], "!", 1) == 1);
  }

private:
  int fds[2];
};

Selector
new_selector ()
{
  g_autoptr (GError) error = nullptr;
  Selector selector (sel_default_selector_new (&error));

  g_assert_no_error (error);
  return selector;
}

/* Data of a registration, and functions as callbacks. The library deletes them. */
template <typename T> void
delete_data (gpointer data)
{
  delete static_cast<T *> (data);
}

using Callback = std::function<bool (SelSelectorKey *key, SelEventMask events)>;

void
register_function (const Selector &selector, int fd, SelEventMask events, Callback func)
{
  g_autoptr (GError) error = nullptr;

  sel_base_selector_register_callback (
      selector.get (), fd, events,
      [] (SelBaseSelector *, SelSelectorKey *key, SelEventMask ready, gpointer user_data) -> gboolean {
        return (*static_cast<Callback *> (user_data)) (key, ready);
      },
      new Callback (std::move (func)), delete_data<Callback>, &error);
  g_assert_no_error (error);
}

void
run_until (const std::function<bool ()> &condition)
{
  while (!condition ())
    g_main_context_iteration (nullptr, TRUE);
}

const char *
name_of (SelEventMask events)
{
  switch (static_cast<unsigned int> (events))
    {
    case SEL_EVENT_READ:
      return "read";
    case SEL_EVENT_WRITE:
      return "write";
    case SEL_EVENT_READ | SEL_EVENT_WRITE:
      return "both";
    default:
      return "other";
    }
}

void
test_operators ()
{
  constexpr SelEventMask both = SEL_EVENT_READ | SEL_EVENT_WRITE;
  SelEventMask events = SEL_EVENT_READ;

  static_assert ((both & SEL_EVENT_WRITE) == SEL_EVENT_WRITE, "operator&");
  static_assert ((both & ~SEL_EVENT_WRITE) == SEL_EVENT_READ, "operator~");
  static_assert ((both ^ SEL_EVENT_READ) == SEL_EVENT_WRITE, "operator^");
  static_assert (~both == SelEventMask (), "the complement has no other bits");

  events |= SEL_EVENT_WRITE;
  g_assert_cmpstr (name_of (events), ==, "both");
  events &= ~SEL_EVENT_READ;
  g_assert_cmpstr (name_of (events), ==, "write");
  events ^= both;
  g_assert_cmpstr (name_of (events), ==, "read");
  g_assert_false (events & SEL_EVENT_WRITE);
  (events |= SEL_EVENT_WRITE) &= SEL_EVENT_WRITE;
  g_assert_cmpstr (name_of (events), ==, "write");
}

void
test_select ()
{
  Selector selector = new_selector ();
  Pipe pipe;
  g_autoptr (GError) error = nullptr;

  sel_base_selector_register (selector.get (), pipe.reader (), SEL_EVENT_READ, nullptr, nullptr, &error);
  g_assert_no_error (error);
  {
    Events events (sel_base_selector_select (selector.get (), 0, nullptr, &error), g_ptr_array_unref);
    g_assert_no_error (error);
    g_assert_cmpuint (events->len, ==, 0);
  }

  pipe.write_byte ();
  Events events (sel_base_selector_select (selector.get (), SEL_WAIT_FOREVER, nullptr, &error), g_ptr_array_unref);
  g_assert_no_error (error);
  g_assert_cmpuint (events->len, ==, 1);

  auto event = static_cast<SelSelectorEvent *> (g_ptr_array_index (events, 0));
  g_assert_cmpint (sel_selector_key_get_fd (sel_selector_event_get_key (event)), ==, pipe.reader ());
  g_assert_true (sel_selector_event_get_events (event) == SEL_EVENT_READ);

  std::vector<SelReadyEvent> ready (4);
  g_assert_cmpint (sel_base_selector_select_ready (selector.get (), HUGE_VAL, ready.data (), ready.size (), nullptr,
                                                   &error), ==, 1);
  g_assert_cmpint (ready[0].fd, ==, pipe.reader ());
}

void
test_modify ()
{
  Selector selector = new_selector ();
  Pipe pipe;
  g_autoptr (GError) error = nullptr;

  sel_base_selector_register (selector.get (), pipe.writer (), SEL_EVENT_READ, nullptr, nullptr, &error);
  sel_base_selector_modify_events (selector.get (), pipe.writer (), SEL_EVENT_READ | SEL_EVENT_WRITE, &error);
  g_assert_no_error (error);

  g_autoptr (SelSelectorKey) key = sel_base_selector_get_key (selector.get (), pipe.writer (), &error);
  g_assert_no_error (error);
  g_assert_true (sel_selector_key_get_events (key) == (SEL_EVENT_READ | SEL_EVENT_WRITE));
  g_assert_true (sel_base_selector_unregister (selector.get (), pipe.writer (), &error));
  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector.get ())), ==, 0);
}

void
test_error ()
{
  Selector selector = new_selector ();
  Pipe pipe;
  g_autoptr (GError) error = nullptr;

  g_assert_false (sel_base_selector_unregister (selector.get (), pipe.reader (), &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED);
  g_clear_error (&error);

  g_assert_false (sel_base_selector_register (selector.get (), pipe.reader (), SelEventMask (), nullptr, nullptr,
                                              &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS);
  g_clear_error (&error);

  g_assert_null (sel_base_selector_select (selector.get (), std::nan (""), nullptr, &error));
  g_assert_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT);
}

void
test_data ()
{
  auto counted = std::make_shared<std::string> ("data");
  Pipe pipe;

  {
    using Data = std::shared_ptr<std::string>;
    Selector selector = new_selector ();
    g_autoptr (GError) error = nullptr;

    sel_base_selector_register (selector.get (), pipe.writer (), SEL_EVENT_WRITE, new Data (counted),
                                delete_data<Data>, &error);
    g_assert_no_error (error);
    g_assert_cmpint (counted.use_count (), ==, 2);

    Events events (sel_base_selector_select (selector.get (), 0, nullptr, &error), g_ptr_array_unref);
    auto key = sel_selector_event_get_key (static_cast<SelSelectorEvent *> (g_ptr_array_index (events, 0)));
    g_assert_cmpstr ((*static_cast<Data *> (sel_selector_key_get_data (key)))->c_str (), ==, "data");
  }
  g_assert_cmpint (counted.use_count (), ==, 1);
}

void
test_callbacks ()
{
  Selector selector = new_selector ();
  auto counted = std::make_shared<int> (0);
  Pipe pipe;

  register_function (selector, pipe.writer (), SEL_EVENT_READ | SEL_EVENT_WRITE,
                     [counted, &pipe] (SelSelectorKey *key, SelEventMask events) {
                       g_assert_cmpint (sel_selector_key_get_fd (key), ==, pipe.writer ());
                       g_assert_true (events == SEL_EVENT_WRITE);
                       return ++*counted < 3;
                     });
  sel_base_selector_attach (selector.get (), nullptr, G_PRIORITY_DEFAULT, nullptr, nullptr, nullptr);
  run_until ([&] { return *counted == 3; });
  g_assert_cmpint (counted.use_count (), ==, 1);
  g_assert_cmpuint (sel_selector_mapping_get_size (sel_base_selector_get_map (selector.get ())), ==, 0);
  sel_base_selector_close (selector.get ());
}

struct AsyncResult
{
  unsigned int n_events;
  bool is_done;
  bool is_cancelled;
};

void
got_result (GObject *selector, GAsyncResult *result, gpointer user_data)
{
  auto async = static_cast<AsyncResult *> (user_data);
  g_autoptr (GError) error = nullptr;
  g_autoptr (GPtrArray) events = sel_base_selector_select_finish (SEL_BASE_SELECTOR (selector), result, &error);

  async->n_events = events != nullptr ? events->len : 0;
  async->is_cancelled = g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  async->is_done = true;
}

void
test_async ()
{
  Selector selector = new_selector ();
  Pipe pipe;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = nullptr;
  AsyncResult async = {};

  sel_base_selector_register (selector.get (), pipe.reader (), SEL_EVENT_READ, nullptr, nullptr, &error);
  g_assert_no_error (error);
  sel_base_selector_select_async (selector.get (), SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, nullptr, got_result, &async);
  pipe.write_byte ();
  run_until ([&] { return async.is_done; });
  g_assert_cmpuint (async.n_events, ==, 1);

  async = {};
  sel_base_selector_unregister (selector.get (), pipe.reader (), &error);
  sel_base_selector_select_async (selector.get (), SEL_WAIT_FOREVER, G_PRIORITY_DEFAULT, cancellable, got_result,
                                  &async);
  g_cancellable_cancel (cancellable);
  run_until ([&] { return async.is_done; });
  g_assert_true (async.is_cancelled);
}

/* A selector that extends a mechanism. */
struct CountingSelector
{
  SelPollSelector parent_instance;
  unsigned int n_waits;
};

struct CountingSelectorClass
{
  SelPollSelectorClass parent_class;
};

gboolean
counting_selector_wait (SelBaseSelector *selector, double timeout, GError **error)
{
  auto klass = static_cast<SelBaseSelectorClass *> (g_type_class_peek (SEL_TYPE_POLL_SELECTOR));

  reinterpret_cast<CountingSelector *> (selector)->n_waits++;
  return klass->wait (selector, timeout, error);
}

GType
counting_selector_get_type ()
{
  static const GType type = g_type_register_static_simple (
      SEL_TYPE_POLL_SELECTOR, "CountingSelector", sizeof (CountingSelectorClass),
      [] (gpointer klass, gpointer) { static_cast<SelBaseSelectorClass *> (klass)->wait = counting_selector_wait; },
      sizeof (CountingSelector), nullptr, GTypeFlags ());

  return type;
}

void
test_subclass ()
{
  Selector selector (SEL_BASE_SELECTOR (g_object_new (counting_selector_get_type (), nullptr)));
  Pipe pipe;
  g_autoptr (GError) error = nullptr;

  sel_base_selector_register (selector.get (), pipe.writer (), SEL_EVENT_WRITE, nullptr, nullptr, &error);
  Events events (sel_base_selector_select (selector.get (), SEL_WAIT_FOREVER, nullptr, &error), g_ptr_array_unref);
  g_assert_no_error (error);
  g_assert_cmpuint (events->len, ==, 1);
  g_assert_cmpuint (reinterpret_cast<CountingSelector *> (selector.get ())->n_waits, ==, 1);
}

}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, nullptr);

  g_test_add_func ("/cpp/operators", test_operators);
  g_test_add_func ("/cpp/select", test_select);
  g_test_add_func ("/cpp/modify", test_modify);
  g_test_add_func ("/cpp/error", test_error);
  g_test_add_func ("/cpp/data", test_data);
  g_test_add_func ("/cpp/callbacks", test_callbacks);
  g_test_add_func ("/cpp/async", test_async);
  g_test_add_func ("/cpp/subclass", test_subclass);

  return g_test_run ();
}
