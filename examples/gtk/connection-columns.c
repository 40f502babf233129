/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The columns of the list of connections. A cell is a GtkInscription, whose size does not depend on its text. With
 * labels, GTK would do the layout of the whole list again whenever a number gets longer. */

#include "connection-columns.h"
#include "connection-item.h"

typedef struct
{
  const char *title;
  const char *property;
  char *(*format) (GtkListItem *cell, guint64 value);    /* for properties that are not text */
  int width;        /* -1 for the remaining width */
  float xalign;
  gboolean changes;
} Column;

static char *
format_count (GtkListItem *cell,
              guint64      count)
{
  return g_strdup_printf ("%'" G_GUINT64_FORMAT, count);
}

static char *
format_size (GtkListItem *cell,
             guint64      size)
{
  return g_format_size (size);
}

static const Column columns[] = {
  { "Descriptor", "descriptor", NULL, 110, 0, FALSE },
  { "File object", "file-object", NULL, -1, 0, FALSE },
  { "Waits for", "events", NULL, 130, 0, FALSE },
  { "Messages", "messages", format_count, 130, 1, TRUE },
  { "Data", "bytes", format_size, 130, 1, TRUE },
};

/* Binds the text of the cell to the property of its item. GTK converts other numbers to text. */
static void
column_set_up_cell (const Column *self,
                    GtkListItem  *cell)
{
  GtkWidget *text = gtk_inscription_new (NULL);
  GtkExpression *item = gtk_property_expression_new (GTK_TYPE_LIST_ITEM, NULL, "item");
  GtkExpression *value = gtk_property_expression_new (CONNECTION_TYPE_ITEM, item, self->property);

  if (self->format != NULL)
    value = gtk_cclosure_expression_new (G_TYPE_STRING, NULL, 1, &value, G_CALLBACK (self->format), NULL, NULL);

  gtk_inscription_set_xalign (GTK_INSCRIPTION (text), self->xalign);
  gtk_inscription_set_text_overflow (GTK_INSCRIPTION (text), GTK_INSCRIPTION_OVERFLOW_ELLIPSIZE_END);
  gtk_widget_add_css_class (text, "numeric");
  gtk_expression_bind (value, text, "text", cell);
  gtk_list_item_set_child (cell, text);
}

static GtkSorter *
column_create_sorter (const Column *self)
{
  GtkExpression *value = gtk_property_expression_new (CONNECTION_TYPE_ITEM, NULL, self->property);

  if (gtk_expression_get_value_type (value) == G_TYPE_STRING)
    return GTK_SORTER (gtk_string_sorter_new (value));

  return GTK_SORTER (gtk_numeric_sorter_new (value));
}

void
connection_columns_add (GtkColumnView *view)
{
  for (gsize i = 0; i < G_N_ELEMENTS (columns); i++)
    {
      GtkListItemFactory *factory = gtk_signal_list_item_factory_new ();
      GtkColumnViewColumn *column = gtk_column_view_column_new (columns[i].title, factory);
      g_autoptr (GtkSorter) sorter = column_create_sorter (&columns[i]);

      g_signal_connect_swapped (factory, "setup", G_CALLBACK (column_set_up_cell), (gpointer) &columns[i]);
      gtk_column_view_column_set_sorter (column, sorter);
      gtk_column_view_column_set_resizable (column, TRUE);
      gtk_column_view_column_set_fixed_width (column, columns[i].width);
      gtk_column_view_column_set_expand (column, columns[i].width < 0);
      gtk_column_view_append_column (view, column);
      g_object_unref (column);
    }
}

/* Sorts the list again if it is sorted by a column that changes without a notification. */
void
connection_columns_sort_again (GtkColumnView *view)
{
  GListModel *shown = gtk_column_view_get_columns (view);

  for (guint i = 0; i < G_N_ELEMENTS (columns); i++)
    {
      g_autoptr (GtkColumnViewColumn) column = g_list_model_get_item (shown, i);

      if (columns[i].changes)
        gtk_sorter_changed (gtk_column_view_column_get_sorter (column), GTK_SORTER_CHANGE_DIFFERENT);
    }
}
