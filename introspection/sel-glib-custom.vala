// SPDX-License-Identifier: LGPL-2.1-or-later

namespace Sel
{
  [CCode (cname = "SEL_WAIT_FOREVER", cheader_filename = "sel-glib/sel-glib.h")]
  public const double WAIT_FOREVER;

  // vapigen cannot print conditional expressions, private members, and loops with a condition, so the functions here do
  // without them.

  // foreach calls next_value (). The array is a snapshot of the keys, in the reverse order of their registration, so that
  // each call takes the last one.
  [Compact]
  [CCode (cname = "GPtrArray", cheader_filename = "glib.h", ref_function = "g_ptr_array_ref",
          unref_function = "g_ptr_array_unref")]
  public class KeyIterator
  {
    public uint len;
    [CCode (array_length = false)]
    public void*[] pdata;
    [CCode (cname = "g_ptr_array_new")]
    public KeyIterator ();
    [CCode (cname = "sel_selector_mapping_get_keys")]
    public KeyIterator.forward (Sel.SelectorMapping mapping);
    [CCode (cname = "g_ptr_array_steal_index")]
    public Sel.SelectorKey steal_index (uint index);
    public Sel.SelectorKey? next_value ()
    {
      if (len == 0)
        return null;
      return steal_index (len - 1);
    }
  }

  public class SelectorMapping : GLib.Object
  {
    public uint size { [CCode (cname = "sel_selector_mapping_get_size")] get; }
    // With a get () of one parameter, foreach would call it for the numbers from 0 to size, and not use iterator ().
    [CCode (cname = "sel_selector_mapping_lookup", sentinel = "")]
    public Sel.SelectorKey? @get (int fd, ...);
    public Sel.KeyIterator iterator ()
    {
      Sel.KeyIterator keys = new Sel.KeyIterator.forward (this);
      uint first = 0;
      uint end = keys.len;
      while (true)
        {
          if (first >= end)
            return keys;
          end--;
          void* key = keys.pdata[first];
          keys.pdata[first] = keys.pdata[end];
          keys.pdata[end] = key;
          first++;
        }
    }
  }

  public abstract class BaseSelector : GLib.Object
  {
    public Sel.KeyIterator iterator ()
    {
      unowned Sel.SelectorMapping? keys = get_map ();
      if (keys == null)
        return new Sel.KeyIterator ();
      return keys.iterator ();
    }
  }

  // A GSource whose callback is a SelectorFunc.
  [Compact]
  [CCode (cname = "GSource", cheader_filename = "glib.h", ref_function = "g_source_ref",
          unref_function = "g_source_unref")]
  public class DispatchSource : GLib.Source
  {
    [CCode (cname = "g_source_set_callback")]
    public void set_callback ([CCode (type = "GSourceFunc")] owned Sel.SelectorFunc func);
  }
}
