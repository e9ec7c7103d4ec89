// The session's life within the editor: opened when it is first needed, kept across reloads, closed at the end.
using UnityEditor;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Owns the one connection of this editor. Loading scripts subscribes and does nothing else: no library is loaded and no
    /// process started until somebody asks for something, or scripts before a reload left something on its way.
    /// </summary>
    internal static class Host
    {
        /// <summary>Set while a session is open, so that scripts after a reload know to take it over.</summary>
        private const string OpenKey = "Thumbforge.Open";

        private static Connection connection;

        [InitializeOnLoadMethod]
        private static void Subscribe()
        {
            // Import workers load the same scripts; they have nothing to ask.
            if (AssetDatabase.IsAssetImportWorkerProcess())
            {
                return;
            }
            AssemblyReloadEvents.beforeAssemblyReload += BeforeReload;
            EditorApplication.quitting += Quit;
            EditorApplication.update += Frame;
        }

        /// <summary>The connection; opened when there is none.</summary>
        /// <exception cref="ThumbforgeException">As <see cref="Connection.Open"/>.</exception>
        internal static Connection Connection
        {
            get
            {
                if (connection == null)
                {
                    connection = Connection.Open();
                    SessionState.SetBool(OpenKey, true);
                    Builds.Resume(connection);
                }
                return connection;
            }
        }

        /// <summary>The connection if there is one.</summary>
        internal static Connection Existing
        {
            get { return connection; }
        }

        /// <summary>Takes over what scripts before a reload left, in the first frame after it.</summary>
        private static void Reopen()
        {
            // Whoever asked before the first frame has taken it over already.
            if (connection != null || !SessionState.GetBool(OpenKey, false))
            {
                return;
            }
            SessionState.SetBool(OpenKey, false);
            try
            {
                Connection adopted = Connection;
            }
            catch (ThumbforgeException failure)
            {
                UnityEngine.Debug.LogWarning("Thumbforge: what was on its way before scripts were reloaded cannot be followed: "
                    + failure.Message);
            }
        }

        private static bool looked;

        private static void Frame()
        {
            if (!looked)
            {
                looked = true;
                Reopen();
            }
            if (connection != null)
            {
                connection.Pump();
                Builds.Frame(connection);
            }
        }

        /// <summary>One turn of the pump, for hosts without frames.</summary>
        internal static void Turn(int milliseconds)
        {
            Connection.Wait(milliseconds);
            Connection.Pump();
            Builds.Frame(connection);
        }

        private static void BeforeReload()
        {
            if (connection != null)
            {
                Builds.Leave();
                connection.Relinquish();
                connection = null;
            }
        }

        /// <summary>Also used where another data directory or program is chosen.</summary>
        internal static void Quit()
        {
            if (connection != null)
            {
                Connection closing = connection;
                connection = null;
                SessionState.SetBool(OpenKey, false);
                closing.Close(new ThumbforgeException("cancelled", "the session was closed; what was accepted goes on"));
            }
        }
    }
}
